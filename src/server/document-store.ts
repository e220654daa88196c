import type { DocumentNode } from 'graphql'
import { LRUCache } from 'lru-cache'

const documentsMax = 1000
/** Longer ones are written by programs with values in them, and don't come twice. */
const documentCharactersMax = 16_384

/**
 * Parsed and validated documents by hash, for Apollo Server. Bounded in number and size, and only the shape of queries
 * that are sent again is worth keeping: large literals, which may be personal, are not kept.
 */
export function createDocumentStore(): {
  get(key: string): Promise<DocumentNode | undefined>
  set(key: string, document: DocumentNode): Promise<void>
  delete(key: string): Promise<boolean>
} {
  const documents = new LRUCache<string, DocumentNode>({ max: documentsMax })
  return {
    get: (key) => Promise.resolve(documents.get(key)),
    set: (key, document) => {
      if ((document.loc?.end ?? Infinity) <= documentCharactersMax) documents.set(key, document)
      return Promise.resolve()
    },
    delete: (key) => Promise.resolve(documents.delete(key)),
  }
}
