import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorBody } from './http-errors.js'

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * A hook that lets only those through who send the internal token in `x-internal-token`. Where the service has none,
 * nobody is: the answer is the same 403. How long the comparison takes says nothing of the token.
 */
export function requireInternalToken(token: string | undefined) {
  const expected = token === undefined ? null : digestOf(token)
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const given = request.headers['x-internal-token']
    const matches = typeof given === 'string' && expected !== null && timingSafeEqual(digestOf(given), expected)
    if (matches) return undefined
    return reply.code(403).send(errorBody('This is for operators: send x-internal-token.', { code: 'FORBIDDEN' }))
  }
}
