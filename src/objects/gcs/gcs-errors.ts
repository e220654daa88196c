import { ObjectDigestError, ObjectLockedError, ObjectNotFoundError } from '../object-errors.js'
import { causeOf, isOurs, unavailable, wordOf, type StoreAnswer } from '../store-answer.js'

interface Given {
  readonly name?: unknown
  readonly code?: unknown
  readonly status?: unknown
  readonly errors?: unknown
  readonly response?: {
    readonly status?: unknown
    readonly headers?: unknown
    readonly data?: { readonly error?: { readonly errors?: unknown } }
  }
}

/** What Google said: https://cloud.google.com/storage/docs/json_api/v1/status-codes. */
export function gcsAnswer(error: unknown): StoreAnswer {
  const given = (error ?? {}) as Given
  const status = [given.code, given.status, given.response?.status]
    .map(Number)
    .find((code) => code >= 300 && code < 600)
  const reason = reasonIn(given.errors) ?? reasonIn(given.response?.data?.error?.errors)
  const name = reason ?? wordOf(given.code) ?? wordOf(given.name) ?? 'UnknownError'
  return { name: name === 'AbortError' ? 'TimeoutError' : name, status, requestId: undefined }
}

function reasonIn(errors: unknown): string | undefined {
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  return typeof first === 'object' && first !== null && 'reason' in first ? wordOf(first.reason) : undefined
}

/** The error of ours for what Google answered about an object. */
export function gcsError(error: unknown, key: string): unknown {
  if (isOurs(error)) return error
  const answer = gcsAnswer(error)
  const cause = causeOf(answer)
  if (answer.status === 404) return new ObjectNotFoundError(key, cause)
  switch (answer.name) {
    case 'retentionPolicyNotMet':
    case 'objectUnderActiveHold':
      return new ObjectLockedError(key, cause)
    case 'CONTENT_DOWNLOAD_MISMATCH':
    case 'FILE_NO_UPLOAD':
    case 'FILE_NO_UPLOAD_DELETE':
      return new ObjectDigestError(key, cause)
    default:
      return unavailable(answer)
  }
}

/** The same for what Google answered about a bucket: a 404 there is no object that is gone. */
export function bucketError(error: unknown, key: string): unknown {
  const answer = gcsAnswer(error)
  return answer.status === 404 ? unavailable({ ...answer, name: 'NoSuchBucket' }) : gcsError(error, key)
}

/** True where the generation that a write named is not the one that is there. */
export const isConflict = (error: unknown): boolean => gcsAnswer(error).status === 412
