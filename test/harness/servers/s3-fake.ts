import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { FakeServer } from './fake-server.js'
import { S3Refusal, type FakeBucket, type FakeVersion, type Precondition } from './s3-fake-bucket.js'

interface Call {
  readonly bucket: FakeBucket
  readonly key: string
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  readonly body: Buffer
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

/** What goes wrong with one request: refused beforehand, or done and its answer lost on the way. */
export interface Fault {
  readonly matches: (method: string, query: URLSearchParams) => boolean
  readonly kind: 'lost-answer' | { readonly status: number; readonly code: string }
}

const keptHeaders = /^(content-type|x-amz-meta-.*|x-amz-server-side-encryption.*)$/
const text = (request: IncomingMessage, name: string): string | undefined => request.headers[name] as string | undefined

/**
 * An S3 server in this process whose clock the test moves: for what no server that can be had does, above all archive
 * classes and RestoreObject (https://docs.aws.amazon.com/AmazonS3/latest/API/). It checks no signatures; radosgw does.
 */
export class S3Fake extends FakeServer {
  readonly buckets = new Map<string, FakeBucket>()
  readonly faults: Fault[] = []
  /** `GET /key?list-type=2` and so on, of every request that came in. */
  readonly requests: { readonly method: string; readonly query: URLSearchParams; readonly request: IncomingMessage }[] =
    []

  static start(): Promise<S3Fake> {
    return new S3Fake().listen()
  }

  protected override serve(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://fake')
    const [, name, ...rest] = decodeURIComponent(url.pathname).split('/')
    const method = request.method!
    this.requests.push({ method, query: url.searchParams, request })
    const at = this.faults.findIndex((fault) => fault.matches(method, url.searchParams))
    const fault = at < 0 ? undefined : this.faults.splice(at, 1)[0]
    let answer: Answer
    try {
      if (fault !== undefined && fault.kind !== 'lost-answer') throw new S3Refusal(fault.kind.status, fault.kind.code)
      const bucket = this.buckets.get(name!)
      if (bucket === undefined) throw new S3Refusal(404, 'NoSuchBucket')
      answer = handle({ bucket, key: rest.join('/'), query: url.searchParams, request, body })
    } catch (error) {
      if (!(error instanceof S3Refusal)) throw error
      answer = {
        status: error.status,
        body: `<Error><Code>${error.code}</Code><Message>${request.url}</Message></Error>`,
      }
    }
    if (fault?.kind === 'lost-answer') return void request.socket.destroy()
    response.writeHead(answer.status, { 'x-amz-request-id': 'FAKE1', ...answer.headers })
    response.end(method === 'HEAD' ? undefined : answer.body)
  }
}

function handle(call: Call): Answer {
  const { request, key, query } = call
  if (key === '') return handleBucket(call)
  switch (request.method) {
    case 'PUT':
      return query.has('uploadId') ? putPart(call) : putObject(call)
    case 'POST':
      if (query.has('restore')) return { status: restore(call) }
      return query.has('uploads') ? beginUpload(call) : completeUpload(call)
    case 'DELETE':
      if (query.has('uploadId')) call.bucket.uploads.delete(query.get('uploadId')!)
      else call.bucket.delete(key, query.get('versionId') ?? undefined)
      return { status: 204 }
    default:
      return readObject(call)
  }
}

function handleBucket({ bucket, query, request }: Call): Answer {
  if (request.method === 'HEAD') return { status: 200 }
  const prefix = query.get('prefix') ?? ''
  const max = Number(query.get('max-keys') ?? 1000)
  const after = query.get('continuation-token') ?? query.get('key-marker') ?? ''
  const all = (query.has('versions') ? bucket.allKeys() : bucket.keys()).filter(
    (key) => key.startsWith(prefix) && key > after,
  )
  const page = all.slice(0, max)
  const next = all.length > max ? page.at(-1)! : undefined
  const row = (key: string, version: FakeVersion): string =>
    `<Key>${key}</Key><LastModified>${version.modifiedAt.toISOString()}</LastModified><ETag>${version.etag}</ETag><Size>${version.bytes.length}</Size><StorageClass>${version.storageClass}</StorageClass>`
  if (query.has('versions')) {
    const rows = page.flatMap((key) =>
      bucket.versions(key).map((version, at) => {
        const tag = version.deleteMarker ? 'DeleteMarker' : 'Version'
        return `<${tag}>${row(key, version)}<VersionId>${version.id}</VersionId><IsLatest>${at === 0}</IsLatest></${tag}>`
      }),
    )
    const more = next === undefined ? '' : `<NextKeyMarker>${next}</NextKeyMarker>`
    return xml(
      `<ListVersionsResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${rows.join('')}</ListVersionsResult>`,
    )
  }
  const rows = page.map((key) => `<Contents>${row(key, bucket.current(key)!)}</Contents>`)
  const more = next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`
  return xml(
    `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${rows.join('')}</ListBucketResult>`,
  )
}

const xml = (body: string, headers: Answer['headers'] = {}): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/xml', ...headers },
  body: `<?xml version="1.0" encoding="UTF-8"?>${body}`,
})

const preconditionOf = (request: IncomingMessage): Precondition => ({
  ifMatch: text(request, 'if-match'),
  ifNoneMatch: text(request, 'if-none-match'),
})

const aboutOf = (request: IncomingMessage): Pick<FakeVersion, 'headers' | 'storageClass'> => ({
  headers: Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => (keptHeaders.test(name) ? [[name, String(value)]] : [])),
  ),
  storageClass: text(request, 'x-amz-storage-class') ?? 'STANDARD',
})

const versionHeaders = ({ id }: FakeVersion): Record<string, string> =>
  id === 'null' ? {} : { 'x-amz-version-id': id }

function checkChecksum({ request, body }: Call): void {
  const given = text(request, 'x-amz-checksum-sha256')
  if (given !== undefined && given !== createHash('sha256').update(body).digest('base64'))
    throw new S3Refusal(400, 'BadDigest')
}

function copySource(call: Call): FakeVersion {
  const [, ...key] = decodeURIComponent(text(call.request, 'x-amz-copy-source')!).split('/')
  const source = call.bucket.find(key.join('/'), undefined)
  if (!call.bucket.readable(source)) throw new S3Refusal(403, 'InvalidObjectState')
  const wanted = text(call.request, 'x-amz-copy-source-if-match')
  if (wanted !== undefined && wanted !== source.etag) throw new S3Refusal(412, 'PreconditionFailed')
  return source
}

function putObject(call: Call): Answer {
  const { bucket, key, request, body } = call
  if (text(request, 'x-amz-copy-source') !== undefined) {
    const source = copySource(call)
    bucket.check(key, preconditionOf(request))
    const version = bucket.write(key, source.bytes, aboutOf(request))
    return xml(`<CopyObjectResult><ETag>${version.etag}</ETag></CopyObjectResult>`, versionHeaders(version))
  }
  checkChecksum(call)
  bucket.check(key, preconditionOf(request))
  const version = bucket.write(key, body, aboutOf(request))
  return { status: 200, headers: { etag: version.etag, ...versionHeaders(version) } }
}

function beginUpload({ bucket, key, request }: Call): Answer {
  const id = randomUUID()
  bucket.uploads.set(id, { key, ...aboutOf(request), parts: new Map() })
  return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
}

function putPart(call: Call): Answer {
  const { bucket, query, request } = call
  const upload = bucket.uploads.get(query.get('uploadId')!)
  if (upload === undefined) throw new S3Refusal(404, 'NoSuchUpload')
  checkChecksum(call)
  const isCopy = text(request, 'x-amz-copy-source') !== undefined
  let bytes = call.body
  if (isCopy) {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(text(request, 'x-amz-copy-source-range')!)!
    bytes = copySource(call).bytes.subarray(Number(from), Number(to) + 1)
  }
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  upload.parts.set(Number(query.get('partNumber')), { bytes, etag })
  return isCopy ? xml(`<CopyPartResult><ETag>${etag}</ETag></CopyPartResult>`) : { status: 200, headers: { etag } }
}

function completeUpload({ bucket, query, request, body }: Call): Answer {
  const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, number]) => Number(number))
  const version = bucket.complete(query.get('uploadId')!, numbers, preconditionOf(request))
  return xml(
    `<CompleteMultipartUploadResult><ETag>${version.etag}</ETag></CompleteMultipartUploadResult>`,
    versionHeaders(version),
  )
}

function restore({ bucket, key, body }: Call): number {
  const [, days] = /<Days>(\d+)<\/Days>/.exec(body.toString()) ?? []
  const [, tier] = /<Tier>(\w+)<\/Tier>/.exec(body.toString()) ?? []
  return bucket.restore(key, Number(days), tier ?? 'Standard')
}

function readObject({ bucket, key, query, request }: Call): Answer {
  const version = bucket.find(key, query.get('versionId') ?? undefined)
  if (request.method === 'GET' && !bucket.readable(version)) throw new S3Refusal(403, 'InvalidObjectState')
  const state = bucket.restoreState(version)
  return {
    status: 200,
    body: version.bytes,
    headers: {
      ...version.headers,
      ...versionHeaders(version),
      etag: version.etag,
      'content-length': String(version.bytes.length),
      'last-modified': version.modifiedAt.toUTCString(),
      ...(version.storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': version.storageClass }),
      ...(state === 'ongoing' ? { 'x-amz-restore': 'ongoing-request="true"' } : {}),
      ...(state === 'done'
        ? { 'x-amz-restore': `ongoing-request="false", expiry-date="${version.restore!.until.toUTCString()}"` }
        : {}),
      ...(version.retainUntil === undefined
        ? {}
        : {
            'x-amz-object-lock-mode': 'COMPLIANCE',
            'x-amz-object-lock-retain-until-date': version.retainUntil.toISOString(),
          }),
      ...(version.legalHold === true ? { 'x-amz-object-lock-legal-hold': 'ON' } : {}),
    },
  }
}
