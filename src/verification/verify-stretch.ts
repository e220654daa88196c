import type { KeyObject } from 'node:crypto'
import { newestKnownCheckpoints } from '../checkpoints/newest-known-checkpoints.js'
import type { SigningKeys } from '../checkpoints/signing-keys.js'
import { wholeRanges } from '../checkpoints/sign-chain.js'
import { treeNodeReader } from '../checkpoints/tree-node.store.js'
import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { readBody } from '../ledger/body-rules.js'
import { type ChainState, frontierAt, utf8Text, ZERO_HASH } from '../ledger/index.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import { CheckpointJudge, newestOf } from './checkpoint-judge.js'
import { EventReader } from './event-reader.js'
import { type Rhythm, Pace } from './pace.js'
import { findStoredEvent, readChainEnd, type StoredEvent } from './stored-chain.store.js'
import { type StretchVerdict, StretchVerifier } from './stretch-verifier.js'
import { TagMemory } from './unseal-event.js'

export const TRANSACTION_TIMEOUT_MS = 15_000

export interface VerificationDeps {
  readonly registry: Pick<RegionRegistry, 'list' | 'use'>
  readonly control: Database
  readonly keys: SigningKeys
  /** Keys that nobody has unwrapped yet: what is still in somebody's memory proves nothing about what is stored. */
  readonly newSubjectKeys: () => SubjectKeys
  readonly tagKey: (companyId: string) => Promise<KeyObject>
}

/** The chain of a workspace. */
export interface ChainPlace {
  readonly id: string
  readonly companyId: string
  readonly dataRegion: Region
}

export interface Stretch {
  /** The first sequence, or what was verified up to the one before it. */
  readonly from: number | ChainState
  /** The last sequence; null: all there is. */
  readonly to: number | null
  /** Ends the stretch after so many events, where the chain is longer. */
  readonly eventsMax?: number
}

export interface StretchOptions {
  readonly rhythm: Rhythm
  readonly signal: AbortSignal
  /** Told how many events have been verified so far. */
  readonly onProgress?: (events: number) => void
}

/**
 * Verifies a stretch of a chain against everything that is stored of it: bodies, links, disclosures, searchable columns,
 * tree nodes, checkpoints in the stretch; and, where the stretch reaches the end of the chain, the head and every newest
 * checkpoint that is kept, at home, in control and in other regions. Memory does not grow with the stretch (but for 16
 * bytes an event, up to a maximum). Throws DatabaseError, and the reason of the signal.
 */
export async function verifyStretch(
  deps: VerificationDeps,
  chain: ChainPlace,
  stretch: Stretch,
  options: StretchOptions,
): Promise<StretchVerdict> {
  const { signal } = options
  // Before the end of the chain is read: a checkpoint is never of more events than are stored when it is.
  const known = await newestKnownCheckpoints(deps, chain)
  return deps.registry.use(chain.dataRegion, async ({ database }) => {
    const read = { companies: [chain.companyId], readOnly: true, timeoutMs: TRANSACTION_TIMEOUT_MS, signal }
    const end = await database.transaction(read, (tx) => readChainEnd(tx, chain.id))
    const start =
      typeof stretch.from === 'number'
        ? await database.transaction(read, (tx) => startAt(tx, chain.id, stretch.from as number))
        : stretch.from
    const verifier = new StretchVerifier({
      chain,
      start: 'missing' in start ? null : start,
      end,
      to: endOf(stretch, 'missing' in start ? 0 : start.sequence, end.head?.sequence ?? 0, end.lastSequence),
      known,
      judge: await judgeOf(deps, chain, end, newestOf(end, known)),
      tags: new TagMemory(await deps.tagKey(chain.companyId)),
    })
    if ('missing' in start) return verifier.failStart(start.missing)
    const reader = await EventReader.open(database, deps.newSubjectKeys(), chain, verifier, signal)
    const pace = new Pace(options.rhythm, signal)
    for await (const chunk of reader.chunks()) {
      for (const row of chunk.events) {
        if (!verifier.add(row, chunk)) return verifier.finish()
        if (pace.isDue()) await pace.rest()
      }
      options.onProgress?.(verifier.verifiedEvents)
    }
    return verifier.finish()
  })
}

/** The last sequence to be read. */
function endOf(stretch: Stretch, startedAt: number, headSequence: number, lastSequence: number): number {
  const end = Math.min(headSequence, lastSequence)
  const wanted = Math.min(stretch.to ?? end, startedAt + (stretch.eventsMax ?? Number.POSITIVE_INFINITY))
  return Math.min(wanted, end)
}

async function judgeOf(
  deps: VerificationDeps,
  chain: ChainPlace,
  end: Parameters<typeof newestOf>[0],
  newest: ReturnType<typeof newestOf>,
): Promise<CheckpointJudge> {
  const judge = await CheckpointJudge.for(deps.keys, chain, end, false)
  // A key that another process made since is no fault.
  return newest.every((checkpoint) => judge.judge(checkpoint).fault === null)
    ? judge
    : CheckpointJudge.for(deps.keys, chain, end, true)
}

type Tx = Parameters<typeof findStoredEvent>[0]

/** What is stored of the chain before a sequence: what the stretch has to go on from. `missing`: the event before it. */
async function startAt(tx: Tx, workspaceId: string, from: number): Promise<ChainState | { readonly missing: number }> {
  const sequence = from - 1
  if (sequence === 0)
    return { workspaceId, sequence, hash: ZERO_HASH, nextTerm: 1, home: null, frontier: Buffer.alloc(0) }
  const before = await findStoredEvent(tx, workspaceId, sequence)
  if (before === null) return { missing: sequence }
  const frontier = await frontierAt(sequence, wholeRanges(treeNodeReader(tx, workspaceId)))
  return { workspaceId, sequence, hash: before.hash, nextTerm: nextTermOf(before), home: null, frontier }
}

function nextTermOf({ term, body }: StoredEvent): number {
  const read = readBody(utf8Text(body) ?? '')
  return typeof read !== 'string' && read.system?.kind === 'term' ? read.system.term : term
}
