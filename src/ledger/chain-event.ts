import type { Latin1 } from './crypto.js'
import type { Disclosure } from './disclosure.js'
import type { ErasedDigest } from './pending-erasures.js'

/** An event as a verifier is given it, from a line of an export or from rows of a database. */
export interface ChainEvent {
  readonly sequence: number
  readonly term: number
  /** The body's text. A body that isn't UTF-8 must not get this far. */
  readonly body: string
  /** The body's hash, where the body itself can't be read now: place and link are verified, what it commits to is not. */
  readonly bodyHash?: Latin1
  /** Null at sequence 1, and only there. */
  readonly prevHash: Latin1 | null
  readonly hash: Latin1
  readonly disclosures: readonly Disclosure[]
  readonly tombstones: readonly ClaimedTombstone[]
  /** Inclusion in the checkpoint, where the events aren't a whole chain. */
  readonly proof?: readonly Latin1[]
  /** What stands beside the body in a database: must say what the body says. */
  readonly columns?: BodyColumns
  /** Of an erasure event, where sets of tombstones are given: its set, in the order of sequences. */
  readonly erased?: Iterable<ErasedDigest>
}

export interface ClaimedTombstone {
  readonly digest: Latin1
  /** The sequence of the erasure event. */
  readonly erasure: number
  readonly index?: number
  readonly proof?: readonly Latin1[]
}

/** The members of a body that a database repeats in columns. Times in the body's own notation. */
export interface BodyColumns {
  readonly id: string
  readonly workspace: string
  readonly company: string
  readonly project: string | null
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  readonly occurredAt: string
  readonly receivedAt: string
}
