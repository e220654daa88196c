import type { Socket } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import { fastifyApolloHandler } from '@as-integrations/fastify'
import {
  fastify as createFastify,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { GraphQLSchema } from 'graphql'
import type { Logger } from 'pino'
import type { Credentials } from '../auth/authenticate.js'
import { clientIp } from '../auth/ip-address.js'
import type { Viewer } from '../auth/viewer.js'
import type { DirectoryLoaders } from '../directory/directory-loaders.js'
import type { PublishedKeys } from '../checkpoints/published-keys.js'
import type { BrowserExchange, GraphqlContext } from '../graphql/context.js'
import type { InputFault } from '../kernel/domain-error.js'
import { newUuid } from '../kernel/ids.js'
import type { RegionStatus } from '../failover/region-status.js'
import { scanJson } from '../kernel/strict-json.js'
import { createApolloServer, wasRefusedByGraphql } from './apollo.js'
import { type GraphiqlPage, renderGraphiqlPage } from './graphiql.js'
import { browserExchange, identifyBrowser, type SessionOptions } from './browser-session.js'
import { createHttpErrorHandler, errorBody } from './http-errors.js'
import { acceptJsonBodies } from './json-body.js'
import { addExportDownloadRoute, type OpenDownload } from './export-download-route.js'
import type { Metrics } from './metrics.js'
import { addMetricsRoute } from './metrics-route.js'
import { addPublishedKeysRoute } from './published-keys-route.js'
import { addRegionHealthRoute } from './region-health-route.js'

declare module 'fastify' {
  // oxlint-disable-next-line no-shadow -- the name is Fastify's
  interface FastifyRequest {
    viewer: Viewer
    browser: BrowserExchange
  }
}

/** A whole request, headers and body. */
const REQUEST_TIMEOUT_MS = 30_000
const HEADERS_TIMEOUT_MS = 15_000
const CONNECTIONS_CHECK_INTERVAL_MS = 5000
const KEEP_ALIVE_TIMEOUT_MS = 72_000
const HEADER_BYTES_MAX = 16_384
/** Bodies of callers who are nobody: enough for any query, too little to be a burden. */
const ANONYMOUS_BODY_BYTES_MAX = 1_048_576

export interface HttpServerOptions {
  readonly schema: GraphQLSchema
  readonly log: Logger
  readonly introspection: boolean
  readonly graphiql: boolean
  readonly bodyLimitBytes: number
  readonly trustedProxies: readonly string[]
  readonly authenticate: (credentials: Credentials) => Promise<Viewer>
  /** Dashboard sessions; left out, cookies count for nothing. */
  readonly sessions?: SessionOptions
  /** Fresh loaders for one request of this viewer. */
  readonly loadersFor: (viewer: Viewer) => DirectoryLoaders
  /** False from the moment the process should get no more requests. */
  readonly isReady: () => boolean
  /** Figures for Prometheus, at /metrics for who has the token; left out, there are none. */
  readonly metrics?: Metrics
  /** How the regions are, at /internal/region-health for who has the token; left out, it is not told. */
  readonly regionHealth?: () => Promise<readonly RegionStatus[]>
  readonly internalToken?: string | undefined
  /** The keys that sign checkpoints; left out, they are not served. */
  readonly publishedKeys?: () => Promise<PublishedKeys>
  /** Opens the files of signed links; left out, there are no downloads. */
  readonly openDownload?: OpenDownload
}

const oneHeader = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value

/** The HTTP server: /graphql, /healthz, /readyz, the signing keys and the downloads of exports. Not yet listening. */
export async function createHttpServer(options: HttpServerOptions): Promise<FastifyInstance> {
  const { log } = options
  const loggerInstance: FastifyBaseLogger = log
  const fastify = createFastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    genReqId: () => newUuid(),
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS,
    },
  })
  fastify.decorateRequest('viewer')
  fastify.decorateRequest('browser')
  await fastify.register(fastifyCookie)
  acceptJsonBodies(fastify)
  fastify.setErrorHandler(createHttpErrorHandler(log))
  fastify.setNotFoundHandler((_, reply) =>
    reply.code(404).send(errorBody('There is nothing here; the API is at /graphql.', { code: 'NOT_FOUND' })),
  )
  fastify.addHook('onSend', (request, reply, _, done) => {
    reply.header('x-request-id', request.id)
    reply.header('x-content-type-options', 'nosniff')
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    done()
  })
  fastify.addHook('onResponse', (request, reply, done) => {
    // Neither query string nor headers nor body: they may hold personal data and keys.
    const { method, routeOptions } = request
    const line = {
      requestId: request.id,
      method,
      route: routeOptions.url ?? null,
      status: reply.statusCode,
      ms: reply.elapsedTime,
    }
    log.info(line, 'request')
    done()
  })
  fastify.get('/healthz', () => ({ status: 'ok' }))
  fastify.get('/readyz', (_, reply) => {
    if (options.isReady()) return { status: 'ready' }
    return reply.code(503).send({ status: 'shutting down' })
  })
  if (options.metrics !== undefined) addMetricsRoute(fastify, options.metrics, options.internalToken)
  if (options.regionHealth !== undefined) addRegionHealthRoute(fastify, options.regionHealth, options.internalToken)
  if (options.publishedKeys !== undefined) addPublishedKeysRoute(fastify, options.publishedKeys)
  if (options.openDownload !== undefined) addExportDownloadRoute(fastify, options.openDownload)
  await addGraphqlRoute(fastify, options)
  return fastify
}

// Clients repeat themselves: the last good one is most likely the next.
let knownHost: string | undefined

function isHost(host: string): boolean {
  if (host === knownHost) return true
  if (!URL.canParse(`http://${host}/`)) return false
  knownHost = host
  return true
}

// A connection keeps its peer; without proxies, that is the client.
const peers = new WeakMap<Socket, string | null>()

function peerOf(socket: Socket): string | null {
  let peer = peers.get(socket)
  if (peer === undefined) {
    peer = clientIp(socket.remoteAddress, undefined, [])
    peers.set(socket, peer)
  }
  return peer
}

/** Who calls is found out before the body is read: nobody may send a large one. */
async function identify(options: HttpServerOptions, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { headers } = request
  if (!isHost(headers.host ?? ''))
    return reply.code(400).send(errorBody('The Host header is malformed.', { code: 'BAD_REQUEST' }))
  const ip =
    options.trustedProxies.length === 0
      ? peerOf(request.socket)
      : clientIp(request.socket.remoteAddress, headers['x-forwarded-for'], options.trustedProxies)
  const allowedOrigins = options.sessions?.allowedOrigins ?? []
  request.browser = browserExchange(request, reply, ip, { trustedProxies: options.trustedProxies, allowedOrigins })
  const credentials = { authorization: headers.authorization, apiKey: oneHeader(headers['x-api-key']), clientIp: ip }
  const { sessionToken } = request.browser
  const { sessions } = options
  // Who sends a key means the key, whatever cookies the browser adds.
  const byKey = credentials.authorization !== undefined || credentials.apiKey !== undefined
  request.viewer =
    byKey || sessionToken === null || sessions === undefined
      ? await options.authenticate(credentials)
      : await identifyBrowser(sessions, request.browser, sessionToken)
  if (request.viewer.kind !== 'anonymous' || request.method !== 'POST') return undefined
  const length = headers['content-length']
  if (length === undefined)
    return reply.code(411).send(errorBody('Send a Content-Length, or an API key.', { code: 'BAD_REQUEST' }))
  if (Number(length) <= ANONYMOUS_BODY_BYTES_MAX) return undefined
  const { code, message } = request.viewer.refusal
  return reply.code(413).send(errorBody(message, { code }))
}

async function addGraphqlRoute(fastify: FastifyInstance, options: HttpServerOptions): Promise<void> {
  const apollo = createApolloServer(options)
  await apollo.start()
  fastify.addHook('onClose', () => apollo.stop())
  const contexts = new WeakMap<FastifyRequest, GraphqlContext>()
  const contextOf = (request: FastifyRequest, reply: FastifyReply): Promise<GraphqlContext> => {
    const context = createContext(options, request, reply)
    contexts.set(request, context)
    return Promise.resolve(context)
  }
  const handleGraphql = fastifyApolloHandler(apollo, { context: contextOf })
  let graphiql: Promise<GraphiqlPage> | undefined
  fastify.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    onRequest: (request, reply) => identify(options, request, reply),
    handler: async (request, reply) => {
      if (options.graphiql && wantsGraphiql(request)) {
        graphiql ??= renderGraphiqlPage()
        const page = await graphiql
        return reply
          .type('text/html; charset=utf-8')
          .header('content-security-policy', page.contentSecurityPolicy)
          .header('referrer-policy', 'no-referrer')
          .send(page.html)
      }
      const body: unknown = await handleGraphql.call(fastify, request, reply)
      const context = contexts.get(request)
      const isPlainJson = String(reply.getHeader('content-type')).startsWith('application/json')
      if (reply.statusCode === 400 && isPlainJson && context !== undefined && wasRefusedByGraphql(context))
        reply.code(200)
      return body
    },
  })
}

const wantsGraphiql = (request: FastifyRequest): boolean =>
  request.method === 'GET' && (request.headers.accept ?? '').includes('text/html') && !request.url.includes('?')

/** Aborted when the connection ends before the whole answer was handed to it. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const abort = new AbortController()
  const onClose = (): void => {
    if (!raw.writableEnded) abort.abort(new Error('the client went away'))
  }
  if (raw.destroyed) onClose()
  else raw.once('close', onClose)
  return abort.signal
}

function createContext(options: HttpServerOptions, request: FastifyRequest, reply: FastifyReply): GraphqlContext {
  const { viewer, browser } = request
  let faults: readonly InputFault[] | undefined
  let gone: AbortSignal | undefined
  return {
    requestId: request.id,
    viewer,
    browser,
    loaders: options.loadersFor(viewer),
    textFaults: () => {
      faults ??= scanJson(request.jsonText).faults.map(({ path, message }) => ({ field: path, message }))
      return faults
    },
    clientGone: () => (gone ??= goneSignal(reply)),
    made: new Map(),
  }
}
