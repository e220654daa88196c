import { checkSigner, type AnnouncedKey } from '../ledger/trust.js'
import { readBody } from '../ledger/body-rules.js'
import type { NewestKnownCheckpoints } from '../checkpoints/newest-known-checkpoints.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import type { SigningKeys } from '../checkpoints/signing-keys.js'
import { DomainError } from '../kernel/domain-error.js'
import { isRegion, type Region } from '../kernel/region.js'
import { fromBytes, type Latin1, type NoteKey, parseCheckpoint, utf8Text } from '../ledger/index.js'
import type { ChainEnd } from './stored-chain.store.js'

/** A checkpoint of a chain that is kept somewhere, and what is wrong with it in itself. */
export interface KnownCheckpoint {
  readonly treeSize: number
  readonly rootHash: Latin1
  /** A sentence, or null where it was signed by the key that counts for the chain at this size. */
  readonly fault: string | null
}

/** Where a chain had its home, and which keys took over, according to its events. */
interface ChainHistory {
  readonly homes: readonly { readonly from: number; readonly region: string }[]
  readonly announced: readonly AnnouncedKey[]
}

function historyOf(end: Pick<ChainEnd, 'changes' | 'firstBody'>, home: Region): ChainHistory {
  const first = end.firstBody === null ? null : readBody(utf8Text(end.firstBody) ?? '')
  const homes = [{ from: 0, region: first === null || typeof first === 'string' ? home : first.fields.region }]
  const announced: AnnouncedKey[] = []
  for (const { sequence, body } of end.changes) {
    const read = readBody(utf8Text(body) ?? '')
    // What is out of shape fails when the events are verified.
    const system = typeof read === 'string' ? null : read.system
    if (system?.kind === 'term') homes.push({ from: sequence, region: system.region })
    if (system?.kind === 'keyRotation')
      announced.push({ sequence, name: system.name, old: system.old, new: system.new })
  }
  return { homes, announced }
}

/** Tells of checkpoints of one chain whether they count (ledger format, section 4). */
export class CheckpointJudge {
  readonly #workspaceId: string
  readonly #logName: string
  readonly #history: ChainHistory
  readonly #keys: readonly NoteKey[]

  private constructor(workspaceId: string, logName: string, history: ChainHistory, keys: readonly NoteKey[]) {
    this.#workspaceId = workspaceId
    this.#logName = logName
    this.#history = history
    this.#keys = keys
  }

  /**
   * With the keys of all regions that were the chain's home. `fresh`: looks again which keys other processes have made,
   * where the control database answers. Throws REGION_UNAVAILABLE where this process has no key of them.
   */
  static async for(
    signing: SigningKeys,
    chain: { readonly id: string; readonly dataRegion: Region },
    end: ChainEnd,
    fresh: boolean,
  ): Promise<CheckpointJudge> {
    const history = historyOf(end, chain.dataRegion)
    const keys: NoteKey[] = []
    for (const region of new Set(history.homes.map((home) => home.region)))
      if (isRegion(region)) {
        const known = await (fresh ? signing.refresh(region).catch(() => signing.of(region)) : signing.of(region))
        keys.push(...known.trusted)
      }
    if (keys.length === 0)
      throw new DomainError(
        'REGION_UNAVAILABLE',
        `This process does not have the keys of region ${chain.dataRegion}, without which nothing can be verified.`,
        { details: { regions: [chain.dataRegion] } },
      )
    return new CheckpointJudge(chain.id, signing.logName, history, keys)
  }

  judge(checkpoint: SignedCheckpoint): KnownCheckpoint {
    const { treeSize, rootHash } = checkpoint
    return { treeSize, rootHash: fromBytes(rootHash), fault: this.#faultOf(checkpoint) }
  }

  #faultOf({ treeSize, rootHash, note, workspaceId }: SignedCheckpoint): string | null {
    const parsed = parseCheckpoint(note)
    if (parsed === null) return 'a stored checkpoint is not a signed note of three lines'
    if (workspaceId !== this.#workspaceId || !parsed.origin.endsWith(`/ws/${this.#workspaceId}`))
      return 'a stored checkpoint is one of another workspace'
    if (parsed.treeSize !== treeSize || parsed.rootHash !== fromBytes(rootHash))
      return 'what is stored beside a checkpoint is not what it says'
    const home = this.#history.homes.findLast(({ from }) => from <= treeSize)!.region
    const trust = { logName: this.#logName, keys: this.#keys }
    return checkSigner(parsed, trust, { home, announced: this.#history.announced }, []).fault
  }
}

/** Every newest checkpoint of a chain, home first. */
export const newestOf = (end: ChainEnd, known: NewestKnownCheckpoints): readonly SignedCheckpoint[] =>
  [end.checkpoint, end.newestOfHistory, known.control, ...known.foreign.map(({ copy }) => copy)].filter(
    (checkpoint) => checkpoint !== null,
  )

/** The copies outside the home region. */
export const copiesOf = (known: NewestKnownCheckpoints): readonly SignedCheckpoint[] =>
  [known.control, ...known.foreign.map(({ copy }) => copy)].filter((checkpoint) => checkpoint !== null)
