import { Storage, type Bucket } from '@google-cloud/storage'

const requestMs = 60_000
const retriesMax = 3

/** Waiting has an end: for one request, in milliseconds. */
export interface Patience {
  readonly requestMs: number
  readonly retriesMax: number
}

export const patienceOf = (given: Partial<Patience> | undefined): Patience => ({ requestMs, retriesMax, ...given })

export interface GcsClientOptions {
  readonly bucket: string
  /** Another address than `https://storage.googleapis.com`, such as a private or regional one. */
  readonly endpoint?: string | undefined
  /** A service account's key; application default credentials unless given. */
  readonly keyFile?: string | undefined
  readonly patience?: Partial<Patience> | undefined
}

/** A client that gives up in bounded time. */
export function gcsBucket(options: GcsClientOptions): Bucket {
  const patience = patienceOf(options.patience)
  const storage = new Storage({
    timeout: patience.requestMs,
    retryOptions: { maxRetries: patience.retriesMax, totalTimeout: (2 * patience.requestMs) / 1_000, maxRetryDelay: 8 },
    ...(options.endpoint === undefined
      ? {}
      : // Credentials go to nobody who could be listened to; emulators want none.
        { apiEndpoint: options.endpoint, useAuthWithCustomEndpoint: options.endpoint.startsWith('https:') }),
    ...(options.keyFile === undefined ? {} : { keyFilename: options.keyFile }),
  })
  return storage.bucket(options.bucket)
}
