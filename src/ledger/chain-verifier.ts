import { bodyTextHash } from './body.js'
import { type ReadBody, readBody } from './body-rules.js'
import type { BodyColumns, ChainEvent } from './chain-event.js'
import { type CheckpointContext, judgeCheckpoint, type KeptCheckpoint } from './checkpoint-verdict.js'
import { matchCommitments } from './commitments.js'
import { CompactRange } from './compact-range.js'
import { fromBytes, type Latin1, toBytes, toHex } from './crypto.js'
import { IdSet } from './id-set.js'
import { linkHashLatin1, uuidLatin1, ZERO_LATIN1 } from './link.js'
import { type EventPlace, PendingErasures } from './pending-erasures.js'
import { RecentRoots } from './recent-roots.js'
import { RunProofs } from './run-proofs.js'
import type { NoteKey } from './signed-note.js'
import { tombstoneLatin1 } from './tombstone.js'
import type { AnnouncedKey, Trust } from './trust.js'
import {
  type BreakReason,
  type ChainBreak,
  type Outcome,
  type VerifiedCheckpoint,
  type Verdict,
  Warnings,
} from './verdict.js'

export interface ChainVerifierOptions extends Trust {
  /** `part`: events carry proofs, and need not begin at 1 or end at the checkpoint. */
  readonly extent: 'whole' | 'part'
  /** The workspace the events must be of. Without it, that of the first. */
  readonly workspaceId?: string
  /** Where to take up a whole chain that was verified up to there. */
  readonly start?: ChainState
  /** Checkpoints kept from earlier, whose signatures were verified then. */
  readonly earlier?: readonly KeptCheckpoint[]
  /** `given`: erasure events come with their sets of tombstones, which are not collected from the events before. */
  readonly erasureSets?: 'collected' | 'given'
  /** How many ids to keep for comparing; 0 where they are compared elsewhere. */
  readonly idsMax?: number
}

/** All that is needed of a verified beginning to go on from it. */
export interface ChainState {
  readonly workspaceId: string
  readonly sequence: number
  readonly hash: Uint8Array
  /** The term the next event must have. */
  readonly nextTerm: number
  /** The home region, where the beginning showed it. */
  readonly home: string | null
  /** As {@link CompactRange} writes it. */
  readonly frontier: Uint8Array
}

interface Fault {
  readonly reason: BreakReason
  readonly detail: string
  /** Where it isn't the event at hand. */
  readonly at?: EventPlace | { readonly sequence: number; readonly eventId: null }
}

const fault = (reason: BreakReason, detail: string): Fault => ({ reason, detail })

/**
 * Verifies a chain event by event, in memory that doesn't grow with it but for ids (16 bytes, up to a maximum) and the
 * tombstones of erasures still to come (32 bytes). Stops at the first break: {@link add} answers false from then on.
 * Pure: the same code serves the database's rows and an export's lines.
 */
export class ChainVerifier {
  readonly #options: ChainVerifierOptions
  readonly #isPart: boolean
  readonly #tree: RecentRoots
  readonly #proofs: RunProofs | null
  readonly #pending: PendingErasures
  readonly #ids: IdSet | null
  readonly #warnings = new Warnings()
  readonly #homes: { readonly from: number; readonly region: string }[] = []
  readonly #announced: AnnouncedKey[] = []
  readonly #earlier: readonly KeptCheckpoint[]
  #earlierNext = 0
  #fork: number | null = null
  #break: ChainBreak | null = null
  #workspaceId: string | null
  #workspace: Latin1 = ''
  #sequence: number
  #hash: Latin1 | null
  #nextTerm: number | null
  /** Where the run of a part ended, once lines of erasures after it have begun. */
  #runEnd: number | null = null
  #runHash: Latin1 | null = null
  #from = 0
  #checked = 0
  #erasedEvents = 0
  #erasedDisclosures = 0

  constructor(options: ChainVerifierOptions) {
    const { start } = options
    this.#options = options
    this.#isPart = options.extent === 'part'
    this.#workspaceId = options.workspaceId ?? start?.workspaceId ?? null
    if (this.#workspaceId !== null) this.#workspace = uuidLatin1(this.#workspaceId)
    this.#sequence = start?.sequence ?? 0
    this.#hash = start === undefined || start.sequence === 0 ? null : fromBytes(start.hash)
    this.#nextTerm = start?.nextTerm ?? (this.#isPart ? null : 1)
    if (start?.home != null) this.#homes.push({ from: 0, region: start.home })
    this.#tree = new RecentRoots(
      start === undefined ? CompactRange.empty() : CompactRange.fromBytes(start.sequence, start.frontier),
    )
    this.#proofs = this.#isPart ? new RunProofs() : null
    this.#pending = new PendingErasures({ whole: !this.#isPart, given: options.erasureSets === 'given' })
    this.#ids = options.idsMax === 0 ? null : new IdSet(options.idsMax)
    this.#earlier = [...(options.earlier ?? [])].sort((a, b) => a.treeSize - b.treeSize)
    if (!this.#isPart) this.#compareEarlier()
  }

  /** The sequence a whole chain must go on with. */
  get nextSequence(): number {
    return this.#sequence + 1
  }

  get isBroken(): boolean {
    return this.#break !== null
  }

  /** Takes the next event. False where the chain is broken, now or before: the rest need not be read. */
  add(event: ChainEvent): boolean {
    if (this.#break !== null) return false
    if (event.bodyHash !== undefined) return this.#addLink(event, event.bodyHash)
    const body = readBody(event.body)
    const found = this.#check(event, body)
    if (found !== null) {
      const eventId = typeof body === 'string' || found.reason === 'MISSING_EVENT' ? null : body.fields.id
      const { sequence, eventId: id } = found.at ?? { sequence: event.sequence, eventId }
      this.#break = { sequence, eventId: id, reason: found.reason, detail: found.detail }
    }
    return found === null
  }

  /** Takes an event of which only the link can be verified. Only in a whole chain whose erasures bring their sets. */
  #addLink(event: ChainEvent, bodyHash: Latin1): boolean {
    const { sequence, term, prevHash, hash, columns } = event
    const place = { sequence, eventId: columns?.id ?? null }
    if (sequence !== this.#sequence + 1) {
      const missing = this.#sequence + 1
      const at = { sequence: missing, eventId: null }
      return this.fail('MISSING_EVENT', `the event with sequence ${missing} is missing`, at)
    }
    if (sequence === 1 ? prevHash !== null : prevHash !== this.#hash)
      return this.fail('PREVIOUS_HASH_MISMATCH', 'prevHash is not the hash of the event before', place)
    if (this.#workspace === '' || term !== this.#nextTerm)
      return this.fail('HASH_MISMATCH', 'the term is not the one the chain is in', place)
    if (linkHashLatin1(term, this.#workspace, sequence, prevHash ?? ZERO_LATIN1, bodyHash) !== hash)
      return this.fail('HASH_MISMATCH', 'the hash is not that of the body and its place in the chain', place)
    for (const { digest, erasure } of event.tombstones) {
      const tombstone = tombstoneLatin1(this.#workspace, sequence, digest)
      this.#pending.claim({ tombstone, erasure, sequence, eventId: columns?.id ?? '', index: null, proof: null })
    }
    const unnamed = this.#pending.namedBy(sequence)
    if (unnamed !== null)
      return this.fail('MISSING_DISCLOSURE', 'what a tombstone names as its erasure is no erasure', unnamed)
    if (event.tombstones.length > 0) this.#erasedEvents++
    if (this.#from === 0) this.#from = sequence
    this.#checked++
    this.#sequence = sequence
    this.#hash = hash
    this.#tree.append(hash)
    this.#compareEarlier()
    return true
  }

  /** Breaks the chain for a reason the caller found itself, such as a line that can't be read. Answers false. */
  fail(reason: BreakReason, detail: string, place: { sequence: number; eventId: string | null }): false {
    this.#break ??= { ...place, reason, detail }
    return false
  }

  #check(event: ChainEvent, body: ReadBody | string): Fault | null {
    const isNext = event.sequence === this.#sequence + 1
    const isFirstOfPart =
      this.#isPart && this.#from === 0 && event.sequence >= 1 && Number.isSafeInteger(event.sequence)
    if (!isFirstOfPart && !this.#mayStand(event, body)) {
      const sequence = (this.#runEnd ?? this.#sequence) + 1
      const detail = `the event with sequence ${sequence} is missing`
      return { reason: 'MISSING_EVENT', detail, at: { sequence, eventId: null } }
    }
    const mustBeNull = event.sequence === 1
    if (isNext && !isFirstOfPart ? event.prevHash !== this.#hash : (event.prevHash === null) !== mustBeNull)
      return fault('PREVIOUS_HASH_MISMATCH', 'prevHash is not the hash of the event before')
    if (typeof body === 'string') return fault('HASH_MISMATCH', body)
    const hashFault = this.#checkHash(event, body, isNext && !isFirstOfPart)
    if (hashFault !== null) return fault('HASH_MISMATCH', hashFault)
    const commitments = matchCommitments(event, body, this.#workspace, this.#pending)
    if (commitments.fault !== null) return commitments.fault
    const erasureFault = this.#checkErasure(event, body)
    if (erasureFault !== null) return erasureFault
    for (let i = 0; i < commitments.incompleteErasures; i++) this.#warnings.add('ERASURE_INCOMPLETE', event.sequence)
    if (commitments.erasedDisclosures > 0) this.#erasedEvents++
    this.#erasedDisclosures += commitments.erasedDisclosures
    this.#accept(event, body, isNext)
    return null
  }

  /** Whether the sequence is the next one, or, after the run of a part, that of an erasure it names. */
  #mayStand(event: ChainEvent, body: ReadBody | string): boolean {
    if (event.sequence === this.#sequence + 1 && this.#runEnd === null) return true
    if (!this.#isPart || !(event.sequence > this.#sequence) || typeof body === 'string') return false
    return body.system?.kind === 'erasure' && this.#pending.namedBy(event.sequence) !== null
  }

  #checkHash(event: ChainEvent, body: ReadBody, follows: boolean): string | null {
    const { fields, system } = body
    this.#workspaceId ??= fields.workspace
    if (this.#workspace === '') this.#workspace = uuidLatin1(this.#workspaceId)
    if (fields.workspace !== this.#workspaceId) return 'the body is one of another workspace'
    if (event.columns !== undefined && !saysTheSame(event.columns, body))
      return 'what is stored beside the body is not what the body says'
    const { term } = event
    if (!Number.isSafeInteger(term) || term < 1 || term >= 2 ** 32) return 'the term is not a term'
    const known = this.#nextTerm
    if (known !== null && (follows || !this.#isPart ? term !== known : term < known))
      return 'the term is not the one the chain is in'
    if (system?.kind === 'term' && system.term !== term + 1) return 'the body announces a term that is not the next'
    const bodyHash = bodyTextHash(event.body)
    const hash = linkHashLatin1(term, this.#workspace, event.sequence, event.prevHash ?? ZERO_LATIN1, bodyHash)
    if (hash !== event.hash) return 'the hash is not that of the body and its place in the chain'
    if (this.#ids === null) return null
    if (!this.#ids.add(fields.id)) return 'an event with this id was there before'
    if (this.#ids.isFull) this.#warnings.add('IDS_NOT_ALL_COMPARED', event.sequence)
    return null
  }

  #checkErasure(event: ChainEvent, { system }: ReadBody): Fault | null {
    if (system?.kind === 'erasure') {
      const detail = this.#pending.settle(this.#workspace, event.sequence, system.erasure, event.erased ?? null)
      return detail === null ? null : fault('TOMBSTONE_MISMATCH', detail)
    }
    const at = this.#pending.namedBy(event.sequence)
    if (at === null) return null
    return { reason: 'MISSING_DISCLOSURE', detail: 'what a tombstone names as its erasure is no erasure', at }
  }

  #accept(event: ChainEvent, { fields, system }: ReadBody, isNext: boolean): void {
    const { sequence, hash } = event
    if (this.#from === 0) {
      this.#from = sequence
      if (sequence === 1) this.#homes.push({ from: 1, region: fields.region })
    } else if (!isNext && this.#runEnd === null) {
      this.#runEnd = this.#sequence
      this.#runHash = this.#hash
    }
    if (system?.kind === 'term') this.#homes.push({ from: sequence, region: system.region })
    if (system?.kind === 'keyRotation')
      this.#announced.push({ sequence, name: system.name, old: system.old, new: system.new })
    this.#checked++
    this.#sequence = sequence
    this.#hash = hash
    this.#nextTerm = system?.kind === 'term' ? event.term + 1 : event.term
    if (this.#proofs !== null) this.#proofs.add(sequence, hash, event.proof)
    else {
      this.#tree.append(hash)
      this.#compareEarlier()
    }
  }

  #compareEarlier(): void {
    for (; ; this.#earlierNext++) {
      const kept = this.#earlier[this.#earlierNext]
      if (kept === undefined || kept.treeSize > this.#sequence) return
      if (kept.treeSize < this.#sequence) this.#warnings.add('EARLIER_CHECKPOINT_NOT_COMPARED', kept.treeSize)
      else if (this.#tree.root() !== kept.rootHash) this.#fork ??= kept.treeSize
    }
  }

  /** What was verified so far, to go on from another time. Only of a whole chain without a break. */
  state(): ChainState {
    if (this.#isPart || this.#break !== null || this.#workspaceId === null)
      throw new Error('only an unbroken, whole chain can be taken up again')
    return {
      workspaceId: this.#workspaceId,
      sequence: this.#sequence,
      hash: toBytes(this.#hash ?? ZERO_LATIN1),
      nextTerm: this.#nextTerm!,
      home: this.#homeAt(this.#sequence),
      frontier: this.#tree.range().toBytes(),
    }
  }

  /** The erasures that tombstones named and that haven't come: beyond the end of a stretch, for the caller to verify. */
  openErasures(): readonly { readonly erasure: number; readonly namedBy: EventPlace }[] {
    return this.#pending.unsettled()
  }

  #homeAt(treeSize: number): string | null {
    return this.#homes.findLast(({ from }) => from <= treeSize)?.region ?? null
  }

  /**
   * The verdict. `checkpoint` is the newest one's note, null where there is none yet. `endsBeforeHead`: a stretch that
   * was ended on purpose; neither head nor checkpoint are asked for then. `carried`: keys an export brought along.
   */
  finish(
    checkpoint: string | null,
    { endsBeforeHead = false, carried = [] }: { endsBeforeHead?: boolean; carried?: readonly NoteKey[] } = {},
  ): Verdict {
    const open = this.#pending.unsettled()[0]
    if (this.#break === null && open !== undefined && !endsBeforeHead)
      this.fail('MISSING_DISCLOSURE', 'the erasure that a tombstone names is not there', open.namedBy)
    if (this.#break !== null || endsBeforeHead) return this.#verdict(null, null)
    const context: CheckpointContext = {
      trust: this.#options,
      workspaceId: this.#workspaceId,
      carried,
      announced: this.#announced,
      // A part may leave out the event that moved the home.
      homeAt: (treeSize) => (this.#isPart ? null : this.#homeAt(treeSize)),
      lastSequence: this.#sequence,
      earlier: this.#earlier,
      fork: this.#fork,
      tree: this.#isPart ? null : this.#tree,
      proofs: this.#proofs,
      warnings: this.#warnings,
    }
    const judged = judgeCheckpoint(checkpoint, context)
    if (judged.fault !== null) this.#break = judged.fault
    return this.#verdict(judged.checkpoint, judged.outcome)
  }

  #verdict(checkpoint: VerifiedCheckpoint | null, brokenOutcome: Outcome | null): Verdict {
    const toSequence = this.#runEnd ?? this.#sequence
    const head = this.#runHash ?? this.#hash
    const unsignedFrom = Math.max(checkpoint?.treeSize ?? 0, this.#from - 1)
    const verdict = {
      ok: this.#break === null,
      outcome: brokenOutcome ?? this.#outcome(),
      firstBreak: this.#break,
      checkedEvents: this.#checked,
      erasedEvents: this.#erasedEvents,
      erasedDisclosures: this.#erasedDisclosures,
      unsignedEvents: this.#isPart ? 0 : Math.max(0, this.#sequence - unsignedFrom),
      fromSequence: this.#from,
      toSequence: this.#from === 0 ? 0 : toSequence,
      headHash: head === null ? null : toHex(head),
      checkpoint,
      warnings: this.#warnings.list(),
    }
    return { ...verdict, statement: statementOf(verdict, this.#isPart) }
  }

  #outcome(): Outcome {
    if (this.#break === null) return this.#erasedDisclosures > 0 ? 'OK_WITH_ERASURES' : 'OK'
    const { reason } = this.#break
    return reason === 'MISSING_EVENT' || reason === 'HEAD_MISMATCH' ? 'INCOMPLETE' : 'INVALID'
  }
}

function statementOf(verdict: Omit<Verdict, 'statement'>, isPart: boolean): string {
  const { firstBreak, checkpoint, fromSequence, toSequence, unsignedEvents, erasedEvents } = verdict
  if (firstBreak !== null) return `${firstBreak.reason} at ${firstBreak.sequence}: ${firstBreak.detail}`
  const erased = erasedEvents === 0 ? '' : `, ${erasedEvents} with erasures`
  if (checkpoint === null)
    return `events ${fromSequence} to ${toSequence} hang together${erased}; no checkpoint compared`
  const unpinned = checkpoint.signerPinned ? '' : '; signer not pinned'
  if (isPart)
    return `events ${fromSequence} to ${toSequence} are in the log of ${checkpoint.treeSize}${erased}${unpinned}`
  const unsigned = unsignedEvents === 0 ? '' : `, ${unsignedEvents} after that not yet signed`
  return `whole up to ${checkpoint.treeSize}${erased}${unsigned}${unpinned}`
}

function saysTheSame(columns: BodyColumns, { fields }: ReadBody): boolean {
  return (
    columns.id === fields.id &&
    columns.workspace === fields.workspace &&
    columns.company === fields.company &&
    columns.project === fields.project &&
    columns.action === fields.action &&
    columns.category === fields.category &&
    columns.targetType === fields.targetType &&
    columns.occurredAt === fields.occurredAt &&
    columns.receivedAt === fields.receivedAt
  )
}
