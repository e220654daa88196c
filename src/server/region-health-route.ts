import type { FastifyInstance } from 'fastify'
import { DomainError } from '../kernel/domain-error.js'
import type { RegionStatus } from '../failover/region-status.js'
import { errorBody } from './http-errors.js'
import { requireInternalToken } from './internal-token.js'

/** `GET /internal/region-health` for operators' tools, behind the internal token: what the query `regionHealth` answers. */
export function addRegionHealthRoute(
  fastify: FastifyInstance,
  regionHealth: () => Promise<readonly RegionStatus[]>,
  token: string | undefined,
): void {
  fastify.get('/internal/region-health', { onRequest: requireInternalToken(token) }, async (_, reply) => {
    try {
      return { regions: await regionHealth() }
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'REGION_UNAVAILABLE')) throw error
      return reply.code(503).send(errorBody(error.message, { code: error.code, regions: error.details.regions }))
    }
  })
}
