import type { FastifyInstance, FastifyRequest } from 'fastify'

declare module 'fastify' {
  // oxlint-disable-next-line no-shadow -- the name is Fastify's
  interface FastifyRequest {
    /** The body as it was sent, where it was JSON. */
    jsonText: string
  }
}

/** A body that is no JSON in UTF-8. */
export class MalformedBody extends Error {
  override readonly name = 'MalformedBody'
  constructor(
    message: string,
    readonly statusCode: 400 | 415 = 400,
  ) {
    super(message)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const otherCharset = /;\s*charset\s*=\s*"?(?!utf-?8"?\s*(?:;|$))/i

function decode(body: Buffer): string {
  try {
    return utf8.decode(body)
  } catch {
    throw new MalformedBody('The body is not UTF-8.')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // V8's message quotes the text.
    throw new MalformedBody('The body is not JSON.')
  }
}

/**
 * Takes JSON bodies and no others. Bytes that are not UTF-8 are refused, not replaced. A member named `__proto__` stays
 * what it is, a member: `JSON.parse` defines it, and nothing here copies members by assignment. The text is kept for
 * those who must know what parsing hides.
 */
export function acceptJsonBodies(fastify: FastifyInstance): void {
  fastify.decorateRequest('jsonText', '')
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer): Promise<unknown> => {
      if (request.headers['content-encoding'] !== undefined && request.headers['content-encoding'] !== 'identity')
        throw new MalformedBody('Send the body as it is, without Content-Encoding.', 415)
      if (otherCharset.test(request.headers['content-type'] ?? '')) throw new MalformedBody('JSON is UTF-8 here.')
      request.jsonText = decode(body)
      return parse(request.jsonText)
    },
  )
}
