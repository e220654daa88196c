import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../../src/kernel/clock.js'
import { FakeServer } from './fake-server.js'

const hourMs = 3_600_000

interface FakeBlob {
  readonly versionId: string
  readonly bytes: Buffer
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  readonly modifiedAt: Date
  tier: string
  /** From when on it is in the tier it was asked into. */
  rehydration?: { readonly tier: string; readonly readyAt: Date; readonly priority: string }
  tags: Record<string, string>
  immutableUntil?: Date
  legalHold?: boolean
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code)
  }
}

/** One container: every version of every name, newest first; and the blocks that nobody has committed. */
export class FakeContainer {
  readonly blobs = new Map<string, FakeBlob[]>()
  readonly blocks = new Map<string, Map<string, Buffer>>()
  immutableUntil: Date | undefined

  constructor(
    readonly clock: Clock,
    readonly versioned = false,
  ) {}

  current(name: string): FakeBlob | undefined {
    const [blob] = this.blobs.get(name) ?? []
    return blob === undefined || blob.headers['x-fake-deleted'] === 'true' ? undefined : this.#arrived(blob)
  }

  find(name: string, versionId: string | null): FakeBlob {
    const found =
      versionId === null ? this.current(name) : this.blobs.get(name)?.find((blob) => blob.versionId === versionId)
    if (found === undefined) throw new Refusal(404, 'BlobNotFound')
    return found
  }

  commit(name: string, bytes: Buffer, headers: FakeBlob['headers'], tier: string): FakeBlob {
    const before = this.current(name)
    if (before?.tier === 'Archive')
      throw new Refusal(409, before.rehydration === undefined ? 'BlobArchived' : 'BlobBeingRehydrated')
    if (before !== undefined && !this.versioned) this.refuseImmutable(before)
    const blob: FakeBlob = {
      versionId: `${this.clock.now().toISOString()}-${randomUUID()}`,
      bytes,
      etag: `"0x${randomUUID().slice(0, 15)}"`,
      headers,
      modifiedAt: this.clock.now(),
      tier,
      tags: {},
      ...(this.immutableUntil === undefined ? {} : { immutableUntil: this.immutableUntil }),
    }
    this.blobs.set(name, [blob, ...(this.versioned ? (this.blobs.get(name) ?? []) : [])])
    this.blocks.delete(name)
    return blob
  }

  delete(name: string, versionId: string | null): void {
    const gone = this.find(name, versionId)
    const all = this.blobs.get(name)!
    if (versionId !== null || !this.versioned) {
      this.refuseImmutable(gone)
      const rest = all.filter((blob) => blob !== gone)
      if (rest.length === 0) this.blobs.delete(name)
      else this.blobs.set(name, rest)
      return
    }
    // The blob becomes a version of its own past, and none is current.
    this.blobs.set(name, [
      { ...gone, bytes: Buffer.alloc(0), versionId: '', headers: { 'x-fake-deleted': 'true' } },
      ...all,
    ])
  }

  refuseImmutable(blob: FakeBlob): void {
    if (blob.legalHold === true) throw new Refusal(409, 'BlobImmutableDueToLegalHold')
    if ((blob.immutableUntil ?? new Date(0)) > this.clock.now()) throw new Refusal(409, 'BlobImmutableDueToPolicy')
  }

  #arrived(blob: FakeBlob): FakeBlob {
    if (blob.rehydration === undefined || blob.rehydration.readyAt > this.clock.now()) return blob
    blob.tier = blob.rehydration.tier
    delete blob.rehydration
    return blob
  }
}

interface Call {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  readonly body: Buffer
  readonly container: FakeContainer
  readonly name: string
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

const header = (request: IncomingMessage, name: string): string | undefined =>
  request.headers[name] as string | undefined

/**
 * Azure's Blob service in this process, as documented (https://learn.microsoft.com/rest/api/storageservices/), with a
 * clock that the test moves: for what Azurite doesn't do, which are rehydration that takes hours, versions and
 * immutability. It checks no signatures; Azurite does.
 */
export class AzureFake extends FakeServer {
  readonly containers = new Map<string, FakeContainer>()

  static start(): Promise<AzureFake> {
    return new AzureFake().listen()
  }

  connectionString(url = this.url): string {
    const key = Buffer.from('not checked').toString('base64')
    return `DefaultEndpointsProtocol=http;AccountName=fake;AccountKey=${key};BlobEndpoint=${url.replace(/\/$/, '')}/fake;`
  }

  protected override serve(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const url = new URL(request.url!, 'http://fake')
    const [, , containerName, ...rest] = decodeURIComponent(url.pathname).split('/')
    let answer: Answer
    try {
      const container = this.containers.get(containerName!)
      if (container === undefined) throw new Refusal(404, 'ContainerNotFound')
      const call = { request, query: url.searchParams, body, container, name: rest.join('/') }
      answer = handle(call)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      answer = {
        status: error.status,
        headers: { 'x-ms-error-code': error.code, 'content-type': 'application/xml' },
        body: `<?xml version="1.0"?><Error><Code>${error.code}</Code><Message>${request.url}</Message></Error>`,
      }
    }
    response.writeHead(answer.status, { 'x-ms-request-id': randomUUID(), ...answer.headers })
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  }
}

function handle(call: Call): Answer {
  const { container, name, query, request } = call
  if (name === '') return list(call)
  switch (`${request.method} ${query.get('comp') ?? ''}`) {
    case 'PUT block': {
      const blocks = container.blocks.get(name) ?? new Map<string, Buffer>()
      container.blocks.set(name, blocks.set(query.get('blockid')!, call.body))
      return { status: 201 }
    }
    case 'PUT blocklist':
      return commit(call)
    case 'PUT tier':
      return setTier(call)
    case 'PUT tags': {
      const tags = [...call.body.toString().matchAll(/<Key>([^<]*)<\/Key>\s*<Value>([^<]*)<\/Value>/g)]
      container.find(name, null).tags = Object.fromEntries(tags.map(([, key, value]) => [key, value]))
      return { status: 204 }
    }
    case 'GET tags': {
      const tags = Object.entries(container.find(name, null).tags)
      const rows = tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`)
      return xml(`<Tags><TagSet>${rows.join('')}</TagSet></Tags>`)
    }
    case 'DELETE ':
      container.delete(name, query.get('versionid'))
      return { status: 202 }
    default:
      return read(call)
  }
}

const xml = (body: string): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="utf-8"?>${body}`,
})

function commit({ container, name, request, body }: Call): Answer {
  const current = container.current(name)
  if (header(request, 'if-none-match') === '*' && current !== undefined) throw new Refusal(409, 'BlobAlreadyExists')
  const wanted = header(request, 'if-match')
  if (wanted !== undefined && current?.etag !== wanted) throw new Refusal(412, 'ConditionNotMet')
  const blocks = container.blocks.get(name)
  const parts = [...body.toString().matchAll(/<(?:Latest|Uncommitted)>([^<]+)</g)].map(([, id]) => blocks?.get(id!))
  if (parts.includes(undefined)) throw new Refusal(400, 'InvalidBlockList')
  const headers = Object.entries(request.headers).filter(([key]) => key.startsWith('x-ms-meta-'))
  const bytes = Buffer.concat(parts as Buffer[])
  const blob = container.commit(
    name,
    bytes,
    Object.fromEntries(headers) as Record<string, string>,
    header(request, 'x-ms-access-tier')!,
  )
  return { status: 201, headers: { etag: blob.etag, 'last-modified': blob.modifiedAt.toUTCString() } }
}

function setTier({ container, name, request }: Call): Answer {
  const blob = container.find(name, null)
  const tier = header(request, 'x-ms-access-tier')!
  if (blob.tier !== 'Archive' || tier === 'Archive') {
    blob.tier = tier
    return { status: 200 }
  }
  if (blob.rehydration !== undefined) throw new Refusal(409, 'BlobBeingRehydrated')
  const priority = header(request, 'x-ms-rehydrate-priority') ?? 'Standard'
  const readyAt = new Date(container.clock.now().getTime() + (priority === 'High' ? 1 : 15) * hourMs)
  blob.rehydration = { tier, readyAt, priority }
  return { status: 202 }
}

function read({ container, name, query, request }: Call): Answer {
  const blob = container.find(name, query.get('versionid'))
  if (request.method === 'GET' && blob.tier === 'Archive') throw new Refusal(409, 'BlobArchived')
  return {
    status: 200,
    body: blob.bytes,
    headers: {
      ...blob.headers,
      etag: blob.etag,
      'content-length': String(blob.bytes.length),
      'last-modified': blob.modifiedAt.toUTCString(),
      'x-ms-blob-type': 'BlockBlob',
      'x-ms-access-tier': blob.tier,
      ...(blob.rehydration === undefined
        ? {}
        : { 'x-ms-archive-status': `rehydrate-pending-to-${blob.rehydration.tier.toLowerCase()}` }),
      ...(Object.keys(blob.tags).length === 0 ? {} : { 'x-ms-tag-count': String(Object.keys(blob.tags).length) }),
      ...(container.versioned ? { 'x-ms-version-id': blob.versionId, 'x-ms-is-current-version': 'true' } : {}),
    },
  }
}

function list({ container, query }: Call): Answer {
  const prefix = query.get('prefix') ?? ''
  const max = Number(query.get('maxresults') ?? 5000)
  const after = query.get('marker') ?? ''
  const versions = query.get('include')?.includes('versions') === true
  const names = [...container.blobs.keys()]
    .filter((name) => name.startsWith(prefix) && name > after && (versions || container.current(name) !== undefined))
    .sort()
  const page = names.slice(0, max)
  const rows = page.flatMap((name) => {
    const all = container.blobs.get(name)!
    return (versions ? all : all.slice(0, 1))
      .filter((blob) => blob.versionId !== '')
      .map((blob) => {
        const version = versions
          ? `<VersionId>${blob.versionId}</VersionId>${blob === all[0] ? '<IsCurrentVersion>true</IsCurrentVersion>' : ''}`
          : ''
        return `<Blob><Name>${name}</Name>${version}<Properties><Last-Modified>${blob.modifiedAt.toUTCString()}</Last-Modified><Etag>${blob.etag}</Etag><Content-Length>${blob.bytes.length}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>`
      })
  })
  const next = names.length > max ? page.at(-1)! : ''
  return xml(`<EnumerationResults><Blobs>${rows.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`)
}
