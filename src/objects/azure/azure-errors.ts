import { ObjectColdError, ObjectDigestError, ObjectLockedError, ObjectNotFoundError } from '../object-errors.js'
import { causeOf, isOurs, unavailable, wordOf, type StoreAnswer } from '../store-answer.js'

/** What Azure said: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes. */
export function azureAnswer(error: unknown): StoreAnswer {
  const given = (error ?? {}) as {
    readonly name?: unknown
    readonly code?: unknown
    readonly statusCode?: number
    readonly details?: { readonly errorCode?: unknown }
    readonly response?: { readonly headers?: { get(name: string): string | undefined } }
  }
  const header = given.response?.headers?.get('x-ms-error-code')
  const name = wordOf(given.details?.errorCode) ?? wordOf(header) ?? wordOf(given.code) ?? wordOf(given.name)
  return {
    name: name ?? 'UnknownError',
    status: given.statusCode,
    requestId: given.response?.headers?.get('x-ms-request-id'),
  }
}

/** The error of ours for what Azure answered about an object. */
export function azureError(error: unknown, key: string): unknown {
  if (isOurs(error)) return error
  const answer = azureAnswer(error)
  const cause = causeOf(answer)
  switch (answer.name) {
    case 'BlobNotFound':
      return new ObjectNotFoundError(key, cause)
    case 'BlobArchived':
    case 'BlobBeingRehydrated':
      return new ObjectColdError(key, cause)
    case 'BlobImmutableDueToPolicy':
    case 'BlobImmutableDueToLegalHold':
      return new ObjectLockedError(key, cause)
    case 'Md5Mismatch':
    case 'Crc64Mismatch':
      return new ObjectDigestError(key, cause)
    default:
      return unavailable(answer)
  }
}

/** True where the condition of a write wasn't met, or another writer threw the blocks of this one away. */
export function isConflict(error: unknown): boolean {
  const { name, status } = azureAnswer(error)
  return status === 412 || name === 'BlobAlreadyExists' || name === 'InvalidBlockList' || name === 'BlobNotFound'
}
