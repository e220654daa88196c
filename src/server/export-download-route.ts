import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DOWNLOAD_PATH } from '../exports/download-link.js'
import type { Download } from '../exports/open-download.js'
import { DomainError, type DomainErrorCode } from '../kernel/domain-error.js'
import { errorBody } from './http-errors.js'

/** What is read ahead of a slow client, beyond what the system's socket buffers take. */
const CHUNK_BYTES = 64 * 1024

const statuses: Partial<Readonly<Record<DomainErrorCode, number>>> = {
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  REGION_UNAVAILABLE: 503,
}

interface Query {
  readonly expires?: unknown
  readonly signature?: unknown
}

export type OpenDownload = (link: { id: string; expires: unknown; signature: unknown }) => Promise<Download>

/** `GET /v1/exports/<id>?expires=…&signature=…`: the file of an export, whole or (Range) from where a download stopped. */
export function addExportDownloadRoute(fastify: FastifyInstance, openDownload: OpenDownload): void {
  fastify.route<{ Params: { id: string }; Querystring: Query }>({
    // Fastify's own HEAD would read the whole file to throw it away.
    method: ['GET', 'HEAD'],
    url: `${DOWNLOAD_PATH}/:id`,
    handler: async (request, reply) => {
      const { expires, signature } = request.query
      let download: Download
      try {
        download = await openDownload({ id: request.params.id, expires, signature })
      } catch (error) {
        const status = error instanceof DomainError ? statuses[error.code] : undefined
        if (status === undefined) throw error
        const { message, code } = error as DomainError
        return reply.code(status).send(errorBody(message, { code }))
      }
      return send(request, reply, download)
    },
  })
}

async function send(request: FastifyRequest, reply: FastifyReply, download: Download): Promise<FastifyReply> {
  const { handle, sizeBytes, sha256, mediaType, saveAs } = download
  const etag = `"${sha256.toString('hex')}"`
  reply.headers({
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-store',
    'content-disposition': `attachment; filename="${saveAs}"`,
    // The link works for whoever has it: it must not travel on in a Referer.
    'referrer-policy': 'no-referrer',
    etag,
    'repr-digest': `sha-256=:${sha256.toString('base64')}:`,
    'x-content-sha256': sha256.toString('hex'),
  })
  reply.type(mediaType)
  const range = rangeOf(request.headers.range, request.headers['if-range'], etag, sizeBytes)
  if (range === 'UNSATISFIABLE' || request.method === 'HEAD' || sizeBytes === 0) {
    await handle.close()
    if (range !== 'UNSATISFIABLE')
      return reply.header('content-length', sizeBytes).send(sizeBytes === 0 ? '' : undefined)
    return reply
      .code(416)
      .header('content-range', `bytes */${sizeBytes}`)
      .type('application/json; charset=utf-8')
      .send(errorBody('The file has no such part.', { code: 'BAD_REQUEST' }))
  }
  const { start, end } = range ?? { start: 0, end: sizeBytes - 1 }
  if (range !== null) reply.code(206).header('content-range', `bytes ${start}-${end}/${sizeBytes}`)
  reply.header('content-length', end - start + 1)
  // Reads on only as fast as the client takes, and closes the file when it is done or gone.
  return reply.send(handle.createReadStream({ start, end, highWaterMark: CHUNK_BYTES }))
}

/** The one part that is asked for, both ends included; null for the whole (RFC 9110, section 14). */
function rangeOf(
  header: string | undefined,
  ifRange: string | string[] | undefined,
  etag: string,
  size: number,
): { readonly start: number; readonly end: number } | 'UNSATISFIABLE' | null {
  if (ifRange !== undefined && ifRange !== etag) return null
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return null
  const [, first = '', last = ''] = match
  if (first === '')
    return Number(last) === 0 ? 'UNSATISFIABLE' : { start: Math.max(0, size - Number(last)), end: size - 1 }
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < start) return null
  return start >= size ? 'UNSATISFIABLE' : { start, end }
}
