/** What an object store can answer instead of doing it. Closed: callers switch over it. */
export type ObjectErrorCode =
  | 'OBJECT_NOT_FOUND'
  | 'OBJECT_EXISTS'
  | 'OBJECT_CHANGED'
  | 'OBJECT_COLD'
  | 'OBJECT_LOCKED'
  | 'OBJECT_DIGEST_MISMATCH'
  | 'OBJECT_STORE_UNAVAILABLE'

/**
 * A store's refusal. Messages name the key and what happened, never an address, a credential or a vendor's own text;
 * those are in `cause`, for the operator's log.
 */
export abstract class ObjectStoreError extends Error {
  abstract readonly code: ObjectErrorCode
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
  }
}

/** No object has this key. */
export class ObjectNotFoundError extends ObjectStoreError {
  readonly code = 'OBJECT_NOT_FOUND'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`There is no object ${key}.`, cause)
  }
}

/** The key was to be new and is taken; what is there is as it was. */
export class ObjectExistsError extends ObjectStoreError {
  readonly code = 'OBJECT_EXISTS'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`There is an object ${key} already.`, cause)
  }
}

/** Another version is there than the one that was to be replaced, or none at all. */
export class ObjectChangedError extends ObjectStoreError {
  readonly code = 'OBJECT_CHANGED'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`The object ${key} is no longer the one that was to be replaced.`, cause)
  }
}

/** Why a put with this condition was refused. */
export const refused = (key: string, precondition: 'new' | { readonly version: string }): ObjectStoreError =>
  precondition === 'new' ? new ObjectExistsError(key) : new ObjectChangedError(key)

/** The bytes can't be read before a restore has been asked for and is done. */
export class ObjectColdError extends ObjectStoreError {
  readonly code = 'OBJECT_COLD'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`The object ${key} is in cold storage: it can be read once a restore is done.`, cause)
  }
}

/** The bucket forbids this until a retention period or a legal hold ends. */
export class ObjectLockedError extends ObjectStoreError {
  readonly code = 'OBJECT_LOCKED'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`The object ${key} is under a retention lock of its bucket.`, cause)
  }
}

/** Other bytes arrived than were announced; nothing of them is kept. */
export class ObjectDigestError extends ObjectStoreError {
  readonly code = 'OBJECT_DIGEST_MISMATCH'
  constructor(
    readonly key: string,
    cause?: unknown,
  ) {
    super(`The bytes of ${key} are not those that their digest says.`, cause)
  }
}

/**
 * The store can't be used now: network, credentials, permissions, throttling or no space. `reason` is a short word of
 * the store's (`ENOSPC`, `AccessDenied`, `SlowDown`). Whether the last change was made isn't known: ask by `head`.
 */
export class ObjectStoreUnavailableError extends ObjectStoreError {
  readonly code = 'OBJECT_STORE_UNAVAILABLE'
  constructor(
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`The object store can't be used now (${reason}).`, cause)
  }
}
