import type { KeyObject } from 'node:crypto'
import { newestKnownCheckpoints, type NewestKnownCheckpoints } from '../checkpoints/newest-known-checkpoints.js'
import type { SigningKeys } from '../checkpoints/signing-keys.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import { wholeRanges } from '../checkpoints/sign-chain.js'
import { treeNodeReader } from '../checkpoints/tree-node.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { ArchiveAccess } from '../events/archived-events.js'
import { badInput } from '../kernel/domain-error.js'
import { readBody } from '../ledger/body-rules.js'
import { type BreakReason, type ChainState, frontierAt, utf8Text, ZERO_HASH } from '../ledger/index.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { type ChainPlace, readFrom, transactionOf } from './chain-place.js'
import { CheckpointJudge, newestOf } from './checkpoint-judge.js'
import { EventReader } from './event-reader.js'
import { type Rhythm, Pace } from './pace.js'
import { type ChainEnd, findStoredEvent, readChainEnd, type StoredEvent } from './stored-chain.store.js'
import { type StretchVerdict, StretchVerifier } from './stretch-verifier.js'
import { TagMemory } from './unseal-event.js'
import type { VerificationKeys } from './verification-keys.js'
import { verifyErasure } from './verify-erasure.js'

export interface VerificationDeps {
  readonly registry: Pick<RegionRegistry, 'list' | 'use'>
  readonly control: Database
  readonly keys: SigningKeys
  readonly subjectKeys: Pick<VerificationKeys, 'use'>
  readonly tagKey: (companyId: string) => Promise<KeyObject>
  readonly archives: Pick<ArchiveAccess, 'look'>
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
 * bytes an event, up to a maximum). Throws BAD_USER_INPUT (beyond everything that is known of the chain),
 * REGION_UNAVAILABLE (no keys of the region in this process), DatabaseError, and the reason of the signal.
 */
export async function verifyStretch(
  deps: VerificationDeps,
  chain: ChainPlace,
  stretch: Stretch,
  options: StretchOptions,
): Promise<StretchVerdict> {
  const verdict = await verifyOnce(deps, chain, stretch, options)
  const found = verdict.firstBreak
  if (found === null || !mayBeErasing.has(found.reason)) return verdict
  // An erasure that was under way may have taken a key that an event had just been read with: look again.
  const { sequence } = found
  const again = await verifyOnce(deps, chain, { from: sequence, to: sequence }, options)
  return again.firstBreak === null ? verifyOnce(deps, chain, stretch, options) : verdict
}

const mayBeErasing: ReadonlySet<BreakReason> = new Set([
  'COMMITMENT_MISMATCH',
  'MISSING_DISCLOSURE',
  'TOMBSTONE_MISMATCH',
])

async function verifyOnce(
  deps: VerificationDeps,
  chain: ChainPlace,
  stretch: Stretch,
  options: StretchOptions,
): Promise<StretchVerdict> {
  const { signal } = options
  // Before the end of the chain is read: a checkpoint is never of more events than are stored when it is.
  const everyKnown = await newestKnownCheckpoints(deps, chain, chain.copyIn === undefined)
  return deps.registry.use(readFrom(chain), async ({ database }) => {
    const transact = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
      database.transaction({ ...transactionOf(chain), signal }, work)
    const end = await transact((tx) => readChainEnd(tx, chain.id))
    const known = chain.copyIn === undefined ? everyKnown : upToCopy(everyKnown, end)
    const newest = newestOf(end, known)
    const judge = await judgeOf(deps, chain, end, newest)
    refuseBeyond(stretch, sizeKnown(end, newest, judge))
    const { from } = stretch
    const start = typeof from === 'number' ? await transact((tx) => startAt(tx, chain.id, from)) : from
    const isMissing = 'missing' in start
    const verifier = new StretchVerifier({
      chain,
      start: isMissing ? null : start,
      end,
      to: endOf(stretch, isMissing ? 0 : start.sequence, Math.min(end.head?.sequence ?? 0, end.lastSequence)),
      known,
      judge,
      tags: new TagMemory(await deps.tagKey(chain.companyId)),
    })
    if (isMissing) return verifier.failStart(start.missing)
    await deps.subjectKeys.use(async (subjectKeys) => {
      const places = { database, subjectKeys, archives: deps.archives }
      const reader = await EventReader.open(places, chain, verifier, signal)
      await verifyChunks(reader, verifier, options)
    })
    for (const open of verifier.openErasures())
      await transact((tx) =>
        verifyErasure(tx, chain.id, open, (reason, detail, at) => verifier.failErasure(reason, detail, at)),
      )
    return verifier.finish()
  })
}

/** Of a copy that is behind, checkpoints of more events than it has say nothing. */
function upToCopy(known: NewestKnownCheckpoints, { checkpoint }: ChainEnd): NewestKnownCheckpoints {
  const size = checkpoint?.treeSize ?? 0
  const within = <C extends SignedCheckpoint>(copy: C | null): C | null =>
    copy === null || copy.treeSize > size ? null : copy
  return {
    home: within(known.home),
    control: within(known.control),
    foreign: known.foreign.filter(({ copy }) => copy.treeSize <= size),
    unreachable: known.unreachable,
  }
}

async function verifyChunks(reader: EventReader, verifier: StretchVerifier, options: StretchOptions): Promise<void> {
  const pace = new Pace(options.rhythm, options.signal)
  for await (const chunk of reader.chunks()) {
    for (const row of chunk.events) {
      if (!verifier.add(row, chunk)) return
      if (pace.isDue()) await pace.rest()
    }
    options.onProgress?.(verifier.verifiedEvents)
  }
}

/** How long the chain is, or was according to a signed checkpoint. */
function sizeKnown(end: ChainEnd, newest: readonly SignedCheckpoint[], judge: CheckpointJudge): number {
  const signed = newest.flatMap((checkpoint) => (judge.judge(checkpoint).fault === null ? [checkpoint.treeSize] : []))
  return Math.max(end.head?.sequence ?? 0, end.lastSequence, ...signed)
}

function refuseBeyond({ from, to }: Stretch, size: number): void {
  const message = `is beyond the end of the chain, which has ${size} events.`
  if (typeof from === 'number' && from > Math.max(1, size)) throw badInput('fromSequence', message)
  if (to !== null && to > size) throw badInput('toSequence', message)
}

/** The last sequence to be read. */
function endOf(stretch: Stretch, startedAt: number, end: number): number {
  const wanted = Math.min(stretch.to ?? end, startedAt + (stretch.eventsMax ?? Number.POSITIVE_INFINITY))
  return Math.min(wanted, end)
}

async function judgeOf(
  deps: VerificationDeps,
  chain: ChainPlace,
  end: ChainEnd,
  newest: readonly SignedCheckpoint[],
): Promise<CheckpointJudge> {
  const judge = await CheckpointJudge.for(deps.keys, chain, end, false)
  // A key that another process made since is no fault.
  return newest.every((checkpoint) => judge.judge(checkpoint).fault === null)
    ? judge
    : CheckpointJudge.for(deps.keys, chain, end, true)
}

/** What is stored of the chain before a sequence: what the stretch has to go on from. `missing`: the event before it. */
async function startAt(
  tx: Transaction,
  workspaceId: string,
  from: number,
): Promise<ChainState | { readonly missing: number }> {
  const sequence = from - 1
  if (sequence === 0)
    return { workspaceId, sequence, hash: ZERO_HASH, nextTerm: 1, home: null, frontier: Buffer.alloc(0) }
  const before = await findStoredEvent(tx, workspaceId, sequence)
  if (before === null) return { missing: sequence }
  const frontier = await frontierAt(sequence, wholeRanges(treeNodeReader(tx, workspaceId)))
  return { workspaceId, sequence, hash: before.hash, nextTerm: nextTermOf(before), home: null, frontier }
}

function nextTermOf({ term, body }: StoredEvent): number {
  // An archived event whose body is not kept in the database is none of the service's own: no term begins after it.
  const read = readBody(body === null ? '' : (utf8Text(body) ?? ''))
  return typeof read !== 'string' && read.system?.kind === 'term' ? read.system.term : term
}
