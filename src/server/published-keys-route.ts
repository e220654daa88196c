import type { FastifyInstance } from 'fastify'
import type { PublishedKeys } from '../checkpoints/published-keys.js'
import { DatabaseError } from '../db/database-error.js'
import { errorBody } from './http-errors.js'

/** A verifier may keep the list for so long: a new key is announced in the chains, not only here. */
const CACHED_S = 60

/** `GET /.well-known/hyrelog-keys.json`: the public keys that sign checkpoints, open to everybody. */
export function addPublishedKeysRoute(fastify: FastifyInstance, publishedKeys: () => Promise<PublishedKeys>): void {
  fastify.get('/.well-known/hyrelog-keys.json', async (_, reply) => {
    try {
      const keys = await publishedKeys()
      return await reply.header('cache-control', `public, max-age=${CACHED_S}`).send(keys)
    } catch (error) {
      if (!(error instanceof DatabaseError && error.unavailable)) throw error
      return reply.code(503).send(errorBody('The keys can not be read now; try again.', { code: 'REGION_UNAVAILABLE' }))
    }
  })
}
