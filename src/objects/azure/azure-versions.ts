import type { ContainerClient } from '@azure/storage-blob'
import { eachWithin, withDeadline } from '../store-answer.js'
import { azureAnswer } from './azure-errors.js'

/**
 * Deletes the former versions of a blob, where the account keeps such: what is erased must not come back by naming an
 * old version. The one that is current stays.
 */
export async function deleteFormerVersions(container: ContainerClient, key: string, requestMs: number): Promise<void> {
  const rows = container.listBlobsFlat({ prefix: key, includeVersions: true })
  for await (const { name, versionId, isCurrentVersion } of eachWithin(requestMs, rows)) {
    if (name !== key || versionId === undefined || isCurrentVersion === true) continue
    const version = container.getBlobClient(key).withVersion(versionId)
    await deleteIfThere((abortSignal) => version.delete({ abortSignal }), requestMs)
  }
}

export async function deleteIfThere(
  remove: (signal: AbortSignal) => Promise<unknown>,
  requestMs: number,
): Promise<void> {
  try {
    await withDeadline(requestMs, remove)
  } catch (error) {
    if (azureAnswer(error).name !== 'BlobNotFound') throw error
  }
}
