import { CRC32C } from '@google-cloud/storage'
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { FakeServer } from './fake-server.js'

interface FakeObject {
  readonly name: string
  readonly generation: number
  metageneration: number
  readonly bytes: Buffer
  readonly contentType: string
  readonly storageClass: string
  metadata: Record<string, string>
  readonly timeCreated: string
  retentionExpirationTime?: string
  temporaryHold?: boolean
}

type Described = Pick<FakeObject, 'name' | 'contentType' | 'storageClass' | 'metadata'>

interface Session {
  readonly bucket: FakeGcsBucket
  readonly described: Described
  readonly condition: string | null
  /** What has come so far. */
  readonly chunks: Buffer[]
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(reason)
  }
}

/** One bucket: every generation of every name, newest first. */
export class FakeGcsBucket {
  readonly objects = new Map<string, FakeObject[]>()
  /** Retention of what is written from now on. */
  retainUntil: Date | undefined
  #generation = 1_700_000_000_000_000

  constructor(readonly versioned = false) {}

  find(name: string, generation: string | null): FakeObject {
    const found = this.#ofName(name).find((one) => generation === null || String(one.generation) === generation)
    if (found === undefined) throw new Refusal(404, 'notFound')
    return found
  }

  check(name: string, ifGenerationMatch: string | null): void {
    if (ifGenerationMatch !== null && String(this.#ofName(name)[0]?.generation ?? 0) !== ifGenerationMatch)
      throw new Refusal(412, 'conditionNotMet')
  }

  write(described: Described, bytes: Buffer): FakeObject {
    const before = this.#ofName(described.name)
    if (before[0] !== undefined && !this.versioned) refuseLocked(before[0])
    const object: FakeObject = {
      ...described,
      bytes,
      generation: ++this.#generation,
      metageneration: 1,
      timeCreated: new Date().toISOString(),
      ...(this.retainUntil === undefined ? {} : { retentionExpirationTime: this.retainUntil.toISOString() }),
    }
    this.objects.set(described.name, [object, ...(this.versioned ? before : [])])
    return object
  }

  delete(name: string, generation: string | null): void {
    const gone = this.find(name, generation)
    refuseLocked(gone)
    const rest = this.#ofName(name).filter((one) => one !== gone)
    if (rest.length === 0) this.objects.delete(name)
    else this.objects.set(name, rest)
  }

  #ofName(name: string): readonly FakeObject[] {
    return this.objects.get(name) ?? []
  }
}

function refuseLocked(object: FakeObject): void {
  if (object.temporaryHold === true) throw new Refusal(403, 'objectUnderActiveHold')
  if (new Date(object.retentionExpirationTime ?? 0) > new Date()) throw new Refusal(403, 'retentionPolicyNotMet')
}

const checksums = new WeakMap<Buffer, string>()
function crc32cOf(bytes: Buffer): string {
  const known = checksums.get(bytes)
  if (known !== undefined) return known
  const crc = new CRC32C()
  crc.update(bytes)
  checksums.set(bytes, crc.toString())
  return crc.toString()
}
const resourceOf = ({ bytes, ...object }: FakeObject): object => ({
  ...object,
  generation: String(object.generation),
  metageneration: String(object.metageneration),
  size: String(bytes.length),
  crc32c: crc32cOf(bytes),
  md5Hash: createHash('md5').update(bytes).digest('base64'),
})

/** The parts of a multipart/related body: https://cloud.google.com/storage/docs/uploading-objects. */
function partsOf(body: Buffer, contentType: string): [Buffer, Buffer] {
  const [, boundary] = /boundary="?([^";]+)"?/.exec(contentType)!
  const delimiter = Buffer.from(`--${boundary}`)
  const parts: Buffer[] = []
  for (let from = body.indexOf(delimiter), to; (to = body.indexOf(delimiter, from + 1)) > 0; from = to) {
    const part = body.subarray(from + delimiter.length + 2, to - 2)
    parts.push(part.subarray(part.indexOf('\r\n\r\n') + 4))
  }
  return parts as [Buffer, Buffer]
}

interface Call {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  readonly body: Buffer
  readonly bucket: FakeGcsBucket
  readonly bucketName: string
  readonly name: string
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: object
  readonly body?: Buffer
}

export interface GcsFault {
  readonly matches: (method: string, url: URL) => boolean
  readonly kind: 'lost-answer' | { readonly status: number; readonly reason: string }
}

/**
 * Google's JSON API in this process, as far as the client library and the store ask of it
 * (https://cloud.google.com/storage/docs/json_api/v1): no server of Google's can be had that knows conditions or
 * storage classes. It checks no credentials.
 */
export class GcsFake extends FakeServer {
  readonly buckets = new Map<string, FakeGcsBucket>()
  readonly faults: GcsFault[] = []
  /** Into how many calls a rewrite is cut, as happens to big objects. */
  rewriteCalls = 1
  readonly sessions = new Map<string, Session>()
  readonly #rewrites = new Map<string, number>()

  static start(): Promise<GcsFake> {
    return new GcsFake().listen()
  }

  protected override serve(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const url = new URL(request.url!, `http://${request.headers.host}`)
    const at = this.faults.findIndex((fault) => fault.matches(request.method!, url))
    const fault = at < 0 ? undefined : this.faults.splice(at, 1)[0]
    let answer: Answer
    try {
      if (fault !== undefined && fault.kind !== 'lost-answer') throw new Refusal(fault.kind.status, fault.kind.reason)
      answer = this.#handle(request, url, body)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { status, reason } = error
      answer = { status, json: { error: { code: status, message: url.href, errors: [{ reason, message: url.href }] } } }
    }
    if (fault?.kind === 'lost-answer') return void request.socket.destroy()
    const json = answer.json === undefined ? undefined : { 'content-type': 'application/json' }
    response.writeHead(answer.status ?? 200, { ...json, ...answer.headers })
    response.end(answer.body ?? (answer.json === undefined ? undefined : JSON.stringify(answer.json)))
  }

  #handle(request: IncomingMessage, url: URL, body: Buffer): Answer {
    const session = url.searchParams.get('upload_id')
    if (session !== null) return this.#continue(session, request, body)
    const [, upload, bucketName, rest = ''] =
      /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o\/?(.*)$/.exec(url.pathname) ?? []
    const bucket = this.buckets.get(bucketName ?? '')
    if (bucket === undefined) throw new Refusal(404, 'notFound')
    const [name = '', rewrite] = rest.split('/rewriteTo/')
    const call = {
      request,
      query: url.searchParams,
      body,
      bucket,
      bucketName: bucketName!,
      name: decodeURIComponent(name),
    }
    if (upload !== undefined) return this.#upload(call, url)
    if (rewrite !== undefined) return this.#rewrite(call)
    if (name === '') return list(call)
    switch (request.method) {
      case 'DELETE':
        bucket.delete(call.name, call.query.get('generation'))
        return { status: 204 }
      case 'PATCH':
        return patch(call)
      default:
        return read(call)
    }
  }

  #upload(call: Call, url: URL): Answer {
    const condition = call.query.get('ifGenerationMatch')
    const contentType = call.request.headers['content-type'] ?? ''
    const [about, bytes] = contentType.startsWith('multipart/')
      ? partsOf(call.body, contentType)
      : [call.body, undefined]
    const given = JSON.parse(about.toString() || '{}') as Partial<Described>
    const described: Described = {
      name: call.query.get('name')!,
      contentType:
        given.contentType ??
        (call.request.headers['x-upload-content-type'] as string | undefined) ??
        'application/octet-stream',
      storageClass: given.storageClass ?? 'STANDARD',
      metadata: given.metadata ?? {},
    }
    call.bucket.check(described.name, condition)
    if (bytes !== undefined) return { json: resourceOf(call.bucket.write(described, Buffer.from(bytes))) }
    const id = randomUUID()
    this.sessions.set(id, { bucket: call.bucket, described, condition, chunks: [] })
    return { headers: { location: `${url.origin}/upload/resume?upload_id=${id}` } }
  }

  /** https://cloud.google.com/storage/docs/performing-resumable-uploads */
  #continue(id: string, request: IncomingMessage, body: Buffer): Answer {
    const session = this.sessions.get(id)
    if (session === undefined) throw new Refusal(404, 'notFound')
    const [, from, total] = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '') ?? []
    const { bucket, described, condition, chunks } = session
    const sizeOf = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    // Here chunks only ever follow one another; a real server would also take what overlaps.
    if (from !== undefined && Number(from) === sizeOf()) chunks.push(body)
    const size = sizeOf()
    if (total === undefined || total === '*' || Number(total) !== size)
      return { status: 308, headers: size === 0 ? {} : { range: `bytes=0-${size - 1}` } }
    bucket.check(described.name, condition)
    this.sessions.delete(id)
    return { json: resourceOf(bucket.write(described, Buffer.concat(chunks))) }
  }

  #rewrite({ bucket, name, query, body }: Call): Answer {
    const source = bucket.find(name, query.get('sourceGeneration'))
    bucket.check(name, query.get('ifGenerationMatch'))
    const token = query.get('rewriteToken') ?? randomUUID()
    const calls = (this.#rewrites.get(token) ?? 0) + 1
    this.#rewrites.set(token, calls)
    if (calls < this.rewriteCalls) return { json: { done: false, rewriteToken: token } }
    const given = JSON.parse(body.toString() || '{}') as Partial<Described>
    const { contentType = source.contentType, storageClass = 'STANDARD', metadata = {} } = given
    const object = bucket.write({ name, contentType, storageClass, metadata }, source.bytes)
    return { json: { done: true, resource: resourceOf(object) } }
  }
}

function list({ bucket, query }: Call): Answer {
  const prefix = query.get('prefix') ?? ''
  const max = Number(query.get('maxResults') ?? 1000)
  const after = query.get('pageToken') ?? ''
  const names = [...bucket.objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
  const page = names.slice(0, max)
  const items = page.flatMap((name) =>
    bucket.objects.get(name)!.slice(0, query.get('versions') === 'true' ? undefined : 1),
  )
  const more = names.length > max ? { nextPageToken: page.at(-1) } : {}
  return { json: { items: items.map(resourceOf), ...more } }
}

function patch({ bucket, name, query, body }: Call): Answer {
  const object = bucket.find(name, null)
  bucket.check(name, query.get('ifGenerationMatch'))
  const wanted = query.get('ifMetagenerationMatch')
  if (wanted !== null && wanted !== String(object.metageneration)) throw new Refusal(412, 'conditionNotMet')
  object.metadata = { ...object.metadata, ...(JSON.parse(body.toString()) as Partial<Described>).metadata }
  object.metageneration++
  return { json: resourceOf(object) }
}

function read({ bucket, name, query }: Call): Answer {
  const object = bucket.find(name, query.get('generation'))
  if (query.get('alt') !== 'media') return { json: resourceOf(object) }
  const md5 = createHash('md5').update(object.bytes).digest('base64')
  return {
    body: object.bytes,
    headers: { 'content-type': object.contentType, 'x-goog-hash': `crc32c=${crc32cOf(object.bytes)},md5=${md5}` },
  }
}
