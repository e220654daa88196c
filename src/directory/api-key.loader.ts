import { findApiKeys, type ApiKeyRecord } from './api-key.store.js'
import { type DirectoryLoader, directoryLoader, type DirectoryLoaderDeps } from './entity-batch.js'

export type ApiKeyLoader = DirectoryLoader<ApiKeyRecord>

/** API keys of the caller's company by id. One query a batch; never from memory, as they say when they were last used. */
export const apiKeyLoader = (deps: DirectoryLoaderDeps): ApiKeyLoader =>
  directoryLoader<ApiKeyRecord>(deps, {
    companyIdOf: (key) => key.companyId,
    peek: () => undefined,
    find: async (em, ids, companies) => new Map((await findApiKeys(em, ids, companies)).map((key) => [key.id, key])),
  })
