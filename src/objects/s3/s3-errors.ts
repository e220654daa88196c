import { ObjectColdError, ObjectDigestError, ObjectNotFoundError } from '../object-errors.js'
import { causeOf, isOurs, unavailable, wordOf, type StoreAnswer } from '../store-answer.js'

/** What S3 said: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. */
export function s3Answer(error: unknown): StoreAnswer {
  const given = (error ?? {}) as {
    readonly name?: unknown
    readonly code?: unknown
    readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  }
  const status = given.$metadata?.httpStatusCode
  const word = status === undefined ? (wordOf(given.code) ?? wordOf(given.name)) : wordOf(given.name)
  return { name: word ?? 'UnknownError', status, requestId: given.$metadata?.requestId }
}

/** The error of ours for what S3 answered about an object. */
export function s3Error(error: unknown, key: string): unknown {
  if (isOurs(error)) return error
  const answer = s3Answer(error)
  const cause = causeOf(answer)
  switch (answer.name) {
    case 'NoSuchKey':
    case 'NotFound':
      return new ObjectNotFoundError(key, cause)
    case 'InvalidObjectState':
      return new ObjectColdError(key, cause)
    case 'BadDigest':
    case 'XAmzContentSHA256Mismatch':
    case 'XAmzContentChecksumMismatch':
      return new ObjectDigestError(key, cause)
    default:
      return unavailable(answer)
  }
}

/** True where the condition of a put wasn't met, or could not be decided because somebody else was writing. */
export function isConflict(error: unknown): boolean {
  const { name, status } = s3Answer(error)
  // A key that is to be replaced and isn't there is a 404 for If-Match.
  return status === 412 || name === 'ConditionalRequestConflict'
}
