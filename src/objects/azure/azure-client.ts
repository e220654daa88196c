import { BlobServiceClient, type ContainerClient, type StoragePipelineOptions } from '@azure/storage-blob'

const requestMs = 120_000
const attemptsMax = 4

/** Waiting has an end: for one request with all its tries, in milliseconds. */
export interface Patience {
  readonly requestMs: number
  readonly attemptsMax: number
}

export const patienceOf = (given: Partial<Patience> | undefined): Patience => ({ requestMs, attemptsMax, ...given })

export interface AzureClientOptions {
  readonly container: string
  /** The account's address, `https://account.blob.core.windows.net`, where it isn't in the connection string. */
  readonly endpoint?: string | undefined
  /**
   * With the account's key or a shared access signature. Without one the default chain of Microsoft's identity library
   * is asked: environment, workload identity, managed identity, the signed-in developer.
   */
  readonly connectionString?: string | undefined
  readonly patience?: Partial<Patience> | undefined
}

/** A client that gives up in bounded time. */
export async function azureContainer(options: AzureClientOptions): Promise<ContainerClient> {
  const pipeline: StoragePipelineOptions = {
    retryOptions: { maxTries: patienceOf(options.patience).attemptsMax, retryDelayInMs: 500, maxRetryDelayInMs: 8_000 },
  }
  return (await serviceOf(options, pipeline)).getContainerClient(options.container)
}

async function serviceOf(options: AzureClientOptions, pipeline: StoragePipelineOptions): Promise<BlobServiceClient> {
  if (options.connectionString !== undefined)
    return BlobServiceClient.fromConnectionString(options.connectionString, pipeline)
  if (options.endpoint === undefined) throw new TypeError('an Azure container needs the address of its account')
  // Only here: the library is big, and who has a connection string doesn't need it.
  const { DefaultAzureCredential } = await import('@azure/identity')
  return new BlobServiceClient(options.endpoint, new DefaultAzureCredential(), pipeline)
}
