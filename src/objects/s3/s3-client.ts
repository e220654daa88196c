import { S3Client } from '@aws-sdk/client-s3'

const connectMs = 5_000
const silenceMs = 30_000
const requestMs = 300_000
const attemptsMax = 4

/** Waiting has an end: for a connection, for the next byte, for one whole answer; in milliseconds. */
export interface Patience {
  readonly connectMs: number
  readonly silenceMs: number
  readonly requestMs: number
  readonly attemptsMax: number
}

export interface S3ClientOptions {
  /** Of another server than Amazon's. */
  readonly endpoint?: string | undefined
  /** Bucket in the path instead of the host name; unless said otherwise with an endpoint. */
  readonly pathStyle?: boolean | undefined
  /** Amazon's name of its region; from the environment or profile unless given. */
  readonly region?: string | undefined
  /** From the default chain (environment, profile, web identity, container, instance) unless given. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  readonly patience?: Partial<Patience> | undefined
}

/** A client that gives up in bounded time. */
export function s3Client(options: S3ClientOptions): S3Client {
  const patience: Patience = { connectMs, silenceMs, requestMs, attemptsMax, ...options.patience }
  const region = options.region ?? (options.endpoint === undefined ? undefined : 'us-east-1')
  return new S3Client({
    maxAttempts: patience.attemptsMax,
    requestHandler: {
      connectionTimeout: patience.connectMs,
      socketTimeout: patience.silenceMs,
      requestTimeout: patience.requestMs,
      throwOnRequestTimeout: true,
    },
    // We send SHA-256 of our own. The SDK's trailing checksums on streams are refused by other servers (radosgw: 411).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    // A bucket of a wrong region is a wrong setting, not to be followed abroad.
    followRegionRedirects: false,
    forcePathStyle: options.pathStyle ?? options.endpoint !== undefined,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  })
}
