/** Why a chain doesn't verify, in the order in which it is tested (ledger format, section 6). */
export const breakReasons = [
  'MISSING_EVENT',
  'PREVIOUS_HASH_MISMATCH',
  'HASH_MISMATCH',
  'COMMITMENT_MISMATCH',
  'MISSING_DISCLOSURE',
  'TOMBSTONE_MISMATCH',
  'HEAD_MISMATCH',
  'CHECKPOINT_MISMATCH',
] as const
export type BreakReason = (typeof breakReasons)[number]

/** The first place where a chain doesn't verify. */
export interface ChainBreak {
  /**
   * The event concerned. Of a missing one its own; of a set of tombstones the erasure's; of a checkpoint the size it
   * was signed at, or the event that is not in it.
   */
  readonly sequence: number
  /** Null where no event is there to have one. */
  readonly eventId: string | null
  readonly reason: BreakReason
  /** A sentence for people. Names no value of the event. */
  readonly detail: string
}

/**
 * `INCOMPLETE`: events or the checkpoint are missing. `FORK`: the log signed two histories. `INVALID`: what is there is
 * not what was recorded.
 */
export type Outcome = 'OK' | 'OK_WITH_ERASURES' | 'INCOMPLETE' | 'FORK' | 'INVALID'

export type WarningCode =
  /** A digest is erased, and its value still there. */
  | 'ERASURE_INCOMPLETE'
  /** No keys were given: who signed is anybody's guess, whatever the file says. */
  | 'SIGNER_NOT_PINNED'
  /** The chain has more events than ids could be kept of; beyond that, repeats of an id are not seen. */
  | 'IDS_NOT_ALL_COMPARED'
  /** A checkpoint kept from earlier lies outside what was read. */
  | 'EARLIER_CHECKPOINT_NOT_COMPARED'

export interface Warning {
  readonly code: WarningCode
  /** How many times, and where first. */
  readonly count: number
  readonly sequence: number | null
}

export interface VerifiedCheckpoint {
  readonly origin: string
  readonly treeSize: number
  /** Hex. */
  readonly rootHash: string
  /** The name of the key that signed; null where no key was given or carried. */
  readonly signedBy: string | null
  /** Whether that key was given from outside, or vouched for by one that was. */
  readonly signerPinned: boolean
}

export interface Verdict {
  readonly ok: boolean
  readonly outcome: Outcome
  readonly firstBreak: ChainBreak | null
  /** One sentence: what is shown, and what isn't. */
  readonly statement: string
  readonly checkedEvents: number
  /** Events of which something was erased. */
  readonly erasedEvents: number
  readonly erasedDisclosures: number
  /** Events after the checkpoint: they hang together, but nothing signed says so yet. */
  readonly unsignedEvents: number
  /** 0 where there was no event. */
  readonly fromSequence: number
  readonly toSequence: number
  /** Hex; null where there was no event. */
  readonly headHash: string | null
  readonly checkpoint: VerifiedCheckpoint | null
  readonly warnings: readonly Warning[]
}

/** Collects warnings of one kind into one, with their number and the first place. */
export class Warnings {
  readonly #found = new Map<WarningCode, { count: number; sequence: number | null }>()

  add(code: WarningCode, sequence: number | null): void {
    const found = this.#found.get(code)
    if (found === undefined) this.#found.set(code, { count: 1, sequence })
    else found.count++
  }

  list(): Warning[] {
    return Array.from(this.#found, ([code, { count, sequence }]) => ({ code, count, sequence }))
  }
}
