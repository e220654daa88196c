import type { FastifyInstance } from 'fastify'
import { requireInternalToken } from './internal-token.js'
import type { Metrics } from './metrics.js'

/** `GET /metrics` for Prometheus, behind the internal token; and a count of every request. */
export function addMetricsRoute(fastify: FastifyInstance, metrics: Metrics, token: string | undefined): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request
    metrics.answered({ method, route: routeOptions.url ?? null, status: reply.statusCode, ms: reply.elapsedTime })
    done()
  })
  fastify.get('/metrics', { onRequest: requireInternalToken(token) }, async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
}
