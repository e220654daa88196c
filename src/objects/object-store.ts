/**
 * Where the bytes of an object are, as its store says: WARM is readable at once; COLD has to be restored first;
 * RESTORING has been asked for; RESTORED is a readable copy of a cold object, which ends by itself.
 */
export type ObjectClass = 'WARM' | 'COLD' | 'RESTORING' | 'RESTORED'

/** What a store knows of an object without reading it. */
export interface ObjectHead {
  readonly key: string
  readonly sizeBytes: number
  /**
   * Names this very version of the bytes; another after each change of them. A move to cold or a restore may give
   * another one too: go by the HEAD that it answers. Opaque.
   */
  readonly version: string
  readonly objectClass: ObjectClass
  /** Until when a restored copy can be read, from the store's own answer; null where it isn't RESTORED. */
  readonly restoredUntil: Date | null
  readonly modifiedAt: Date
}

/** Speeds of a restore, as the store has them. */
export type RestoreTier = 'EXPEDITED' | 'STANDARD' | 'BULK'

export interface PutOptions {
  /** Lower-case hex of the whole body, where it is known beforehand; the store has to have received exactly that. */
  readonly sha256?: string
  readonly contentType: string
  /**
   * `new`: refused with ObjectExistsError where the key is taken, also by somebody who was faster by a moment. A
   * version: refused with ObjectChangedError unless that version is there now.
   */
  readonly precondition: 'new' | { readonly version: string }
}

/**
 * A bucket of immutable objects. Keys are relative paths of `[A-Za-z0-9._=-]` segments (`checkedKey`). Every method may
 * fail with ObjectStoreUnavailableError (network, credentials, throttling beyond retries); nothing half-written is ever
 * visible.
 */
export interface ObjectStore {
  /**
   * Streams a body of any size in bounded memory; answers what is there after it, which is WARM. ObjectDigestError where
   * the body isn't what `sha256` says. What a body throws comes out as it is. ObjectLockedError where a version is to be
   * replaced that the bucket keeps.
   */
  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead>
  /**
   * ObjectNotFoundError; ObjectColdError before any byte where it is COLD or RESTORING. Read what it answers to its end,
   * or leave the loop early: a connection is held until then.
   */
  get(key: string): Promise<AsyncIterable<Uint8Array>>
  /** Null where there is none. */
  head(key: string): Promise<ObjectHead | null>
  /** All whose keys begin with a prefix (`''` is all), by key, page after page. */
  list(prefix: string): AsyncIterable<Pick<ObjectHead, 'key' | 'sizeBytes' | 'modifiedAt'>>
  /** Idempotent: an object that isn't there is gone. ObjectLockedError where the bucket forbids it. */
  delete(key: string): Promise<void>
  /**
   * ObjectNotFoundError; ObjectLockedError where the bucket keeps this very copy. Moves it to the coldest class
   * configured, in place, and leaves a restored copy alone until its time is up. Idempotent; where a restore doesn't
   * undo itself (Azure, Google) this is what does, so call it again after `restoredUntil`. Answers the HEAD after it.
   */
  moveToCold(key: string): Promise<ObjectHead>
  /**
   * ObjectNotFoundError. Asks for a readable copy for so many days (1 to 365); joins a restore under way, prolongs a
   * copy that would end earlier and shortens none; a WARM object needs none and stays as it is. A tier that isn't among
   * `restoreTiers` is taken for STANDARD. Answers the HEAD after it.
   */
  requestRestore(key: string, options: { readonly days: number; readonly tier: RestoreTier }): Promise<ObjectHead>
  /** The tiers that `requestRestore` takes here. */
  readonly restoreTiers: readonly RestoreTier[]
}
