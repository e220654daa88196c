import { GraphQLError, type GraphQLFormattedError, Kind, type TypeNode } from 'graphql'
import { DomainError, type InputFault } from '../kernel/domain-error.js'

/** What the server's own checks of a request say, before anything is executed. Their messages are about the query. */
const requestErrorCodes = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_SUPPORTED',
])
/** How many faults one answer names. */
const FAULTS_MAX = 100
/** What graphql-js says last where it gave up, without a code of its own. */
const tooManyFaults = /^Too many errors processing variables/
const didYouMean = / Did you mean .*\?$/s

/** The `DomainError` that an error of GraphQL was made from, or null. */
export function domainErrorOf(error: unknown): DomainError | null {
  for (let at: unknown = error; at instanceof Error;) {
    if (at instanceof DomainError) return at
    at = at instanceof GraphQLError ? at.originalError : undefined
  }
  return null
}

/** True for what a client may be told in GraphQL's own words: its request was wrong. */
const isRequestError = (error: unknown, code: unknown): boolean =>
  error instanceof GraphQLError &&
  error.path === undefined &&
  ((typeof code === 'string' && requestErrorCodes.has(code)) || tooManyFaults.test(error.message))

/** True for an error that is our fault: it is logged, and answered with nothing but a request id. */
export function isInternalError(error: GraphQLError): boolean {
  return domainErrorOf(error) === null && !isRequestError(error, error.extensions['code'])
}

function isInputType(type: TypeNode): boolean {
  if (type.kind !== Kind.NAMED_TYPE) return isInputType(type.type)
  return type.name.value.endsWith('Input')
}

const coercionFault =
  /^Variable "\$(?<variable>\w+)" got invalid value [\s\S]*?(?: at "(?<path>[^"]*)")?; (?<reason>[^;]*)$/

/**
 * What is wrong with a variable, by field, or null for another error. GraphQL's own message quotes the value, which may
 * be long and personal; this one doesn't. Inside an input object the path is relative to it: `events[3].occurredAt`.
 */
function faultOfVariable(error: GraphQLError): InputFault | null {
  const found = coercionFault.exec(error.message)?.groups
  const definition = error.nodes?.[0]
  if (found === undefined || definition?.kind !== Kind.VARIABLE_DEFINITION) return null
  const { variable, path, reason } = found
  // What is missing or unknown is named in the reason, beside the object that should (not) have it.
  const member = /^Field "(\w+)" (?:of required type|is not defined)/.exec(reason!)?.[1]
  const full = (path ?? variable!) + (member === undefined ? '' : `.${member}`)
  const relative = isInputType(definition.type) ? full.replace(/^\w+\.?/, '') : full
  // Our own scalars say in full what they want.
  const message = reason!.replace(/^Expected type "\w+"\. (?=must )/, '')
  return { field: relative === '' ? full : relative, message }
}

/**
 * The answer's errors with what is wrong with its variables in one, whose `faults` name it all: GraphQL reports each by
 * itself. Its own word that there are too many says nothing more.
 */
export function mergeVariableFaults(errors: readonly GraphQLFormattedError[]): readonly GraphQLFormattedError[] {
  const faultsOf = ({ path, extensions }: GraphQLFormattedError): readonly InputFault[] | undefined =>
    path === undefined && extensions?.['code'] === 'BAD_USER_INPUT'
      ? (extensions['faults'] as readonly InputFault[] | undefined)
      : undefined
  const [first] = errors.filter((error) => faultsOf(error) !== undefined)
  if (first === undefined || errors.length === 1) return errors
  const faults = errors.flatMap((error) => faultsOf(error) ?? []).slice(0, FAULTS_MAX)
  const others = errors.filter((error) => faultsOf(error) === undefined && !tooManyFaults.test(error.message))
  return [{ ...first, extensions: { ...first.extensions, faults } }, ...others]
}

/**
 * The one place where errors become answers. A `DomainError` is told as it is; so is what is wrong with the request
 * itself; anything else is `INTERNAL_SERVER_ERROR` with the id under which it was logged. `hideSchema` takes away the
 * hints by which names can be guessed.
 */
export function createErrorFormatter(options: {
  readonly hideSchema: boolean
  readonly requestIdOf: (error: unknown) => string | undefined
}): (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError {
  const clean = (message: string) => (options.hideSchema ? message.replace(didYouMean, '') : message)
  return (formatted, error) => {
    const { locations, path } = formatted
    const where = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) }
    const domainError = domainErrorOf(error)
    if (domainError !== null) {
      const { code, message, details } = domainError
      return { message, ...where, extensions: { code, ...details } }
    }
    const code = formatted.extensions?.['code']
    if (isRequestError(error, code)) {
      const fault = code === 'BAD_USER_INPUT' ? faultOfVariable(error as GraphQLError) : null
      if (fault === null) {
        // The parser is recursive: a text that nests deeply enough ends its stack before it reaches the tokens' limit.
        const message = /call stack/i.test(formatted.message) ? 'The query is nested too deeply.' : formatted.message
        return { message: clean(message), ...where, extensions: { code } }
      }
      const message = clean(fault.message)
      const faults = [{ field: fault.field, message }]
      return { message: `${fault.field}: ${message}`, ...where, extensions: { code, field: fault.field, faults } }
    }
    return {
      message: 'Something went wrong on our side.',
      ...where,
      extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: options.requestIdOf(error) ?? null },
    }
  }
}
