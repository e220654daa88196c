import type { NewestKnownCheckpoints } from '../checkpoints/newest-known-checkpoints.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import type { Region } from '../kernel/region.js'
import {
  type BreakReason,
  type ChainBreak,
  type ChainState,
  ChainVerifier,
  CompactRange,
  fromBytes,
  TILE_HEIGHT,
  TILE_WIDTH,
} from '../ledger/index.js'
import { type CheckpointJudge, copiesOf, type KnownCheckpoint, newestOf } from './checkpoint-judge.js'
import { type ChainEnd, nodeName, type StoredEvent } from './stored-chain.store.js'
import { columnFault, type OpenableChunk, type TagMemory, unsealEvent } from './unseal-event.js'

/** How many ids of one stretch are compared with each other; beyond, the unique index on ids alone sees repeats. */
const IDS_COMPARED_MAX = 262_144

export interface StretchVerdict {
  readonly firstBreak: ChainBreak | null
  /** Events that verify, up to the first break. */
  readonly checkedEvents: number
  /** Of these, events of which something was erased. */
  readonly erasedEvents: number
  /** Of these, events in archive objects that can't be read now: their links were verified, their bodies not. */
  readonly linkOnlyEvents: number
  /** The hash of the last event that verifies; null where there is none. */
  readonly headHash: Buffer | null
  /** The last sequence of the stretch. */
  readonly toSequence: number
  /** Whether the stretch goes to the end of the chain, so that head and checkpoints were compared. */
  readonly reachedHead: boolean
  /** What was verified so far, to go on from; null after a break. */
  readonly state: ChainState | null
  /** How many copies of checkpoints outside the region could be read. */
  readonly copies: number
  /** Where copies of checkpoints may be that could not be looked at. */
  readonly unreachable: NewestKnownCheckpoints['unreachable']
}

export interface StretchVerifierOptions {
  readonly chain: { readonly id: string; readonly dataRegion: Region }
  /** Null where there is nothing to go on from. */
  readonly start: ChainState | null
  readonly end: ChainEnd
  /** The last sequence to be verified, at most the last there is. */
  readonly to: number
  readonly known: NewestKnownCheckpoints
  readonly judge: CheckpointJudge
  readonly tags: TagMemory
}

type Place = { readonly sequence: number; readonly eventId: string | null }

/** Verifies the events of one stretch as they come, and in the end what else is stored about the chain. */
export class StretchVerifier {
  readonly after: number
  readonly upTo: number
  readonly #options: StretchVerifierOptions
  readonly #ledger: ChainVerifier
  readonly #tree: CompactRange
  /** The newest checkpoints, by size, for the moment the stretch reaches them. */
  readonly #newest: ReadonlyMap<number, readonly KnownCheckpoint[]>
  #break: ChainBreak | null = null
  #verified = 0
  #linkOnly = 0
  #lastEventId: string | null = null
  #lastHash: Uint8Array | null
  #lastTerm: number

  constructor(options: StretchVerifierOptions) {
    const { start, end, known, judge, to } = options
    this.#options = options
    this.after = start?.sequence ?? 0
    this.upTo = Math.max(to, this.after)
    this.#lastHash = this.after === 0 ? null : start!.hash
    this.#lastTerm = start?.nextTerm ?? 1
    this.#ledger = new ChainVerifier({
      extent: 'whole',
      workspaceId: options.chain.id,
      erasureSets: 'given',
      idsMax: IDS_COMPARED_MAX,
      ...(start === null || start.sequence === 0 ? {} : { start }),
    })
    this.#tree = CompactRange.fromBytes(this.after, start?.frontier ?? Buffer.alloc(0))
    const newest = newestOf(end, known).map((checkpoint) => judge.judge(checkpoint))
    this.#newest = Map.groupBy(newest, ({ treeSize }) => treeSize)
  }

  get verifiedEvents(): number {
    return this.#verified
  }

  /** Takes the next event. False where it does not verify: the rest need not be read. */
  add(row: StoredEvent, chunk: OpenableChunk): boolean {
    const event = unsealEvent(row, chunk)
    const place = { sequence: event.sequence, eventId: row.id }
    if (!this.#ledger.add(event)) return this.#failAsLedger(row.id)
    const linkOnly = event.bodyHash !== undefined
    const columns = linkOnly
      ? null
      : columnFault(row, event.disclosures, event.tombstones.length > 0, this.#options.tags)
    if (columns !== null) return this.#fail('COMMITMENT_MISMATCH', columns, place)
    for (const { level, index, hash } of this.#tree.append(row.hash))
      if (chunk.nodes.get(nodeName(level, index)) !== fromBytes(hash))
        return this.#fail('CHECKPOINT_MISMATCH', 'a stored node of the tree is not the one over its events', place)
    this.#verified++
    if (linkOnly) this.#linkOnly++
    this.#lastEventId = row.id
    this.#lastHash = row.hash
    this.#lastTerm = row.term
    return this.#compareCheckpoints(event.sequence, chunk.history)
  }

  #compareCheckpoints(size: number, history: readonly SignedCheckpoint[]): boolean {
    const kept = history.filter(({ treeSize }) => treeSize === size).map((one) => this.#options.judge.judge(one))
    kept.push(...(this.#newest.get(size) ?? []))
    if (kept.length === 0) return true
    const root = this.#tree.rootLatin1()
    const fault = kept.some(({ rootHash }) => rootHash !== root)
      ? 'the events have another root than a checkpoint of this size'
      : kept.find((one) => one.fault !== null)?.fault
    return fault == null || this.#fail('CHECKPOINT_MISMATCH', fault, { sequence: size, eventId: this.#lastEventId })
  }

  #fail(reason: BreakReason, detail: string, place: Place): false {
    this.#break ??= { ...place, reason, detail }
    return false
  }

  #failAsLedger(rowId: string): false {
    const found = this.#ledger.finish(null, { endsBeforeHead: true }).firstBreak!
    const eventId = found.eventId ?? (found.reason === 'MISSING_EVENT' ? null : rowId)
    return this.#fail(found.reason, found.detail, { sequence: found.sequence, eventId })
  }

  /** Erasures that events of the stretch name, and that come after it. */
  openErasures(): ReturnType<ChainVerifier['openErasures']> {
    return this.#break === null ? this.#ledger.openErasures() : []
  }

  /** Breaks the chain for what was found outside of the stretch. */
  failErasure(reason: 'MISSING_DISCLOSURE' | 'TOMBSTONE_MISMATCH', detail: string, place: Place): void {
    this.#fail(reason, detail, place)
  }

  /** The verdict where the event before the stretch is not there. */
  failStart(missing: number): StretchVerdict {
    this.#fail('MISSING_EVENT', 'the event before the stretch is missing', { sequence: missing, eventId: null })
    return this.finish()
  }

  /** The verdict, once every event of the stretch was taken or one did not verify. */
  finish(): StretchVerdict {
    const { end, known } = this.#options
    const last = this.after + this.#verified
    if (this.#break === null && last < this.upTo)
      this.#fail('MISSING_EVENT', `the event with sequence ${last + 1} is missing`, {
        sequence: last + 1,
        eventId: null,
      })
    const reachedHead = this.upTo >= Math.min(end.head?.sequence ?? 0, end.lastSequence)
    if (this.#break === null && reachedHead) this.#checkEnd()
    const ledger = this.#ledger.finish(null, { endsBeforeHead: true })
    return {
      firstBreak: this.#break,
      checkedEvents: this.#verified,
      erasedEvents: ledger.erasedEvents,
      linkOnlyEvents: this.#linkOnly,
      headHash: this.#verified === 0 ? null : Buffer.from(this.#lastHash!),
      toSequence: Math.max(this.upTo, reachedHead ? end.lastSequence : 0),
      reachedHead,
      state: this.#break === null && this.#verified > 0 ? this.#ledger.state() : null,
      copies: copiesOf(known).length,
      unreachable: known.unreachable,
    }
  }

  /** All events up to the head are whole: now the head, then the tree, then the checkpoints. */
  #checkEnd(): boolean {
    const { end, known } = this.#options
    const size = this.after + this.#verified
    const next = { sequence: size + 1, eventId: null }
    const stored = Math.min(end.head?.sequence ?? 0, end.lastSequence)
    if (stored < size)
      return this.#fail('HEAD_MISMATCH', `there are ${stored} events, and ${size} were verified before`, {
        sequence: stored + 1,
        eventId: null,
      })
    if ((end.head?.sequence ?? 0) > size)
      return this.#fail('HEAD_MISMATCH', `there are ${size} events, and the head says ${end.head!.sequence}`, next)
    if (end.firstBeyondHead !== null) {
      const { sequence, id } = end.firstBeyondHead
      return this.#fail('HEAD_MISMATCH', 'there is an event that the head does not count', { sequence, eventId: id })
    }
    const place = { sequence: size, eventId: this.#lastEventId }
    if (end.head !== null && size > 0 && !this.#isHead(end.head))
      return this.#fail('HEAD_MISMATCH', 'the head is not the one of the last event', place)
    if (end.nodes !== nodesOf(size))
      return this.#fail('CHECKPOINT_MISMATCH', 'nodes of the tree are stored that it does not have', place)
    const newest = [...this.#newest.values()].flat()
    // A forged checkpoint is one of no events at all: only signed ones say how long the chain was.
    const forged = newest.find(({ fault }) => fault !== null)
    const longest = Math.max(0, ...newest.flatMap(({ treeSize, fault }) => (fault === null ? [treeSize] : [])))
    if (longest > size)
      return this.#fail('HEAD_MISMATCH', `there are ${size} events, and a checkpoint of ${longest}`, next)
    if (forged !== undefined)
      return this.#fail('CHECKPOINT_MISMATCH', forged.fault!, { sequence: forged.treeSize, eventId: null })
    const copied = Math.max(0, ...copiesOf(known).map(({ treeSize }) => treeSize))
    if ((end.checkpoint?.treeSize ?? 0) < copied)
      return this.#fail('CHECKPOINT_MISMATCH', `a checkpoint of ${copied} events was kept outside the region`, {
        sequence: copied,
        eventId: null,
      })
    return true
  }

  #isHead(head: NonNullable<ChainEnd['head']>): boolean {
    // The term moves on with the event that announces the next one.
    const terms = this.#verified > 0 ? [this.#lastTerm, this.#ledger.state().nextTerm] : [this.#lastTerm]
    return head.hash.equals(this.#lastHash!) && head.frontier.equals(this.#tree.toBytes()) && terms.includes(head.term)
  }
}

/** How many inner nodes are stored of a tree of this size. */
function nodesOf(size: number): number {
  let count = 0
  for (let width = TILE_WIDTH; width <= size; width *= 2 ** TILE_HEIGHT) count += Math.floor(size / width)
  return count
}
