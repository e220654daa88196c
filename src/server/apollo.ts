import { ApolloServer, type ApolloServerPlugin, type GraphQLRequestListener } from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled'
import { GraphQLError, type GraphQLSchema } from 'graphql'
import type { Logger } from 'pino'
import type { GraphqlContext } from '../graphql/context.js'
import { createErrorFormatter, domainErrorOf, isInternalError, mergeVariableFaults } from '../graphql/format-error.js'
import { createCostLimit } from '../graphql/query-cost.js'
import { queryShapeRule } from '../graphql/query-shape-rule.js'
import { DomainError } from '../kernel/domain-error.js'
import { createDocumentStore } from './document-store.js'

/** Lexical tokens of one document: parsing and validating more would cost as much as a page. */
const QUERY_TOKENS_MAX = 4000
/** How many faults of a document are named before validation gives up. */
const VALIDATION_ERRORS_MAX = 20

const refusedByGraphql = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
])

/** Which request an error came up in: Apollo formats errors without saying. */
class ErrorOrigins {
  readonly #requestIds = new WeakMap<object, string>()

  note(error: unknown, requestId: string): void {
    if (typeof error === 'object' && error !== null) this.#requestIds.set(error, requestId)
  }

  requestIdOf(error: unknown): string | undefined {
    if (!(error instanceof Error)) return undefined
    const cause = 'originalError' in error ? error.originalError : undefined
    return this.#requestIds.get(error) ?? (cause instanceof Error ? this.#requestIds.get(cause) : undefined)
  }
}

// By a member: Apollo hands its plugins a copy of the context.
const refused = new WeakSet<GraphqlContext['made']>()

/**
 * True where a well-formed request was answered with nothing but errors about its document or variables. GraphQL over
 * HTTP gives that 200 where the answer is application/json, and 400 only as application/graphql-response+json.
 */
export const wasRefusedByGraphql = (context: GraphqlContext): boolean => refused.has(context.made)

/** An error that stops an operation before it runs. Without a status of its own it would count as the server's failure. */
const refusal = (code: string, message: string, originalError?: Error): GraphQLError =>
  new GraphQLError(message, { originalError: originalError ?? null, extensions: { code, http: { status: 400 } } })

function requestPlugin(schema: GraphQLSchema, log: Logger, origins: ErrorOrigins): ApolloServerPlugin<GraphqlContext> {
  const checkCost = createCostLimit(schema)
  const listener: GraphQLRequestListener<GraphqlContext> = {
    didResolveOperation: async ({ document, operation, request }) => {
      if (operation === undefined) return
      if (!schema.getRootType(operation.operation))
        throw refusal('OPERATION_RESOLUTION_FAILURE', `There are no ${operation.operation}s here.`)
      try {
        checkCost(document, operation, request.variables ?? {})
      } catch (error) {
        if (!(error instanceof DomainError)) throw error
        throw refusal(error.code, error.message, error)
      }
    },
    didEncounterErrors: ({ errors, contextValue }) => {
      const { requestId } = contextValue
      for (const error of errors) {
        if (
          error.path === undefined &&
          (refusedByGraphql.has(String(error.extensions['code'])) || domainErrorOf(error))
        )
          refused.add(contextValue.made)
        if (!isInternalError(error)) continue
        origins.note(error, requestId)
        log.error({ requestId, path: error.path?.join('.'), err: error.originalError ?? error }, 'a field failed')
      }
      return Promise.resolve()
    },
    willSendResponse: ({ response: { body } }) => {
      if (body.kind === 'single' && body.singleResult.errors !== undefined)
        body.singleResult.errors = mergeVariableFaults(body.singleResult.errors)
      return Promise.resolve()
    },
  }
  return { requestDidStart: () => Promise.resolve(listener) }
}

/** The GraphQL server over a schema, with every limit that doesn't depend on HTTP. Not yet started. */
export function createApolloServer(options: {
  readonly schema: GraphQLSchema
  readonly introspection: boolean
  readonly log: Logger
}): ApolloServer<GraphqlContext> {
  const { schema, introspection, log } = options
  const origins = new ErrorOrigins()
  return new ApolloServer<GraphqlContext>({
    schema,
    introspection,
    // Anything but development: no stack traces, whatever NODE_ENV says.
    nodeEnv: 'production',
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: !introspection,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: QUERY_TOKENS_MAX },
    validationOptions: { maxErrors: VALIDATION_ERRORS_MAX },
    maxRecursiveSelections: true,
    validationRules: [queryShapeRule],
    documentStore: createDocumentStore(),
    formatError: createErrorFormatter({
      hideSchema: !introspection,
      requestIdOf: (error) => origins.requestIdOf(error),
    }),
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message: string) => log.warn(message),
      error: (message: string) => log.error(message),
    },
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      requestPlugin(schema, log, origins),
    ],
  })
}
