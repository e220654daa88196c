import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

/** What clients are told about HTTP's own refusals; Fastify's and Node's texts are for developers of servers. */
const messages: Readonly<Record<number, string>> = {
  400: 'The request is malformed.',
  404: 'There is nothing here; the API is at /graphql.',
  405: 'This method is not served here.',
  408: 'The request took too long to arrive.',
  411: 'Send a Content-Length.',
  413: 'The body is larger than this server takes.',
  414: 'The address is too long.',
  415: 'Send application/json.',
  431: 'The headers are larger than this server takes.',
  503: 'The server is shutting down.',
}

/** An error in the form of GraphQL's, which is what clients of this server read. */
export const errorBody = (message: string, extensions: Record<string, unknown>): { errors: object[] } => ({
  errors: [{ message, extensions }],
})

/** Answers whatever went wrong outside GraphQL. What isn't the client's fault is logged and not told. */
export function createHttpErrorHandler(log: Logger) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const status = error.statusCode ?? 500
    if (status < 500 || status === 503) {
      const message = error.name === 'MalformedBody' ? error.message : (messages[status] ?? 'The request was refused.')
      return reply.code(status).send(errorBody(message, { code: 'BAD_REQUEST' }))
    }
    log.error({ requestId: request.id, err: error }, 'a request failed')
    const extensions = { code: 'INTERNAL_SERVER_ERROR', requestId: request.id }
    return reply.code(500).send(errorBody('Something went wrong on our side.', extensions))
  }
}
