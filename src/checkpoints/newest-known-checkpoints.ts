import type { Region } from '../kernel/region.js'
import { findCheckpoint } from './checkpoint.store.js'
import { allPlaces, type PlaceDeps } from './copy-place.js'
import type { CheckpointCopy } from './checkpoint-copy.store.js'
import type { SignedCheckpoint } from './signed-checkpoint.js'

const TIMEOUT_MS = 5_000

/** Every newest checkpoint of one chain that is kept somewhere. Their signatures have not been checked. */
export interface NewestKnownCheckpoints {
  readonly home: SignedCheckpoint | null
  readonly control: CheckpointCopy | null
  readonly foreign: readonly { readonly region: Region; readonly copy: CheckpointCopy }[]
  /** Where it could not be looked; what is kept there may be newer. */
  readonly unreachable: readonly ('HOME' | 'CONTROL' | Region)[]
}

/**
 * Looks for a chain's newest checkpoint at home (unless that is known not to answer), in control, and in all other
 * regions. Never rejects for one of them.
 */
export async function newestKnownCheckpoints(
  deps: PlaceDeps,
  workspace: { readonly id: string; readonly companyId: string; readonly dataRegion: Region },
  homeAnswers = true,
): Promise<NewestKnownCheckpoints> {
  const { id, companyId, dataRegion } = workspace
  const readHome = () =>
    deps.registry.use(dataRegion, ({ database }) =>
      database.transaction({ companies: [companyId], readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
        findCheckpoint(tx, id),
      ),
    )
  const atHome = homeAnswers ? readHome() : Promise.reject(new Error('not asked'))
  const places = allPlaces(deps, dataRegion)
  const [[home], copies] = await Promise.all([
    Promise.allSettled([atHome]),
    Promise.allSettled(places.map(async (place) => (await place.read([id]))[0] ?? null)),
  ])
  const unreachable: ('HOME' | 'CONTROL' | Region)[] = home.status === 'rejected' ? ['HOME'] : []
  let control: CheckpointCopy | null = null
  const foreign: { region: Region; copy: CheckpointCopy }[] = []
  for (const [index, answer] of copies.entries()) {
    const { name } = places[index]!
    if (answer.status === 'rejected') unreachable.push(name)
    else if (name === 'CONTROL') control = answer.value
    else if (answer.value !== null) foreign.push({ region: name, copy: answer.value })
  }
  return { home: home.status === 'fulfilled' ? home.value : null, control, foreign, unreachable }
}
