import {
  type DocumentNode,
  type FieldNode,
  getNamedType,
  getNullableType,
  type GraphQLField,
  type GraphQLSchema,
  isCompositeType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type GraphQLNamedType,
} from 'graphql'
import { DomainError } from '../kernel/domain-error.js'
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from './page-arguments.js'

/**
 * What one request may cost. A field costs 1, or its `complexity`; what stands below a list counts as often as the list
 * has items: the page size asked for, or {@link LIST_SIZE_ASSUMED}. The largest page with everything on it fits.
 */
export const QUERY_COST_MAX = 100_000
const LIST_SIZE_ASSUMED = 20
const RESULTS_KEPT_PER_DOCUMENT_MAX = 64

const pageArguments = new Set(['first', 'last'])

interface CostRun {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  readonly variables: Readonly<Record<string, unknown>>
  /** Cost of fragments by name, type and page size: each is measured once. */
  readonly measured: Map<string, number>
}

/** A page size that an argument asks for, or undefined where it isn't given. Sizes out of bounds are refused elsewhere. */
function argumentSize(run: CostRun, node: FieldNode, name: string): number | undefined {
  const value = node.arguments?.find((argument) => argument.name.value === name)?.value
  if (value === undefined) return undefined
  let size: unknown
  if (value.kind === Kind.INT) size = Number(value.value)
  else if (value.kind === Kind.VARIABLE) {
    const variable = value.name.value
    const definition = run.operation.variableDefinitions?.find((one) => one.variable.name.value === variable)
    const fallback = definition?.defaultValue
    size = run.variables[variable] ?? (fallback?.kind === Kind.INT ? Number(fallback.value) : undefined)
  }
  return typeof size === 'number' && Number.isFinite(size) ? Math.min(Math.max(size, 1), PAGE_SIZE_MAX) : undefined
}

function fieldOf(type: GraphQLNamedType, name: string): GraphQLField<unknown, unknown> | undefined {
  return isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined
}

/** `pageSize` is that of the list whose connection we stand on, or null. */
function costOfField(run: CostRun, type: GraphQLNamedType, node: FieldNode, pageSize: number | null): number {
  const field = fieldOf(type, node.name.value)
  // __typename and introspection, which has limits of its own.
  if (field === undefined) return 0
  const own = typeof field.extensions['complexity'] === 'number' ? field.extensions['complexity'] : 1
  const result = getNamedType(field.type)
  if (!isCompositeType(result)) return own
  const isPaged = field.args.some(({ name }) => pageArguments.has(name))
  const ownSize = isPaged
    ? (argumentSize(run, node, 'last') ?? argumentSize(run, node, 'first') ?? PAGE_SIZE_DEFAULT)
    : null
  const below = costOfSelections(run, result, node.selectionSet, ownSize)
  const items = isListType(getNullableType(field.type)) ? (pageSize ?? LIST_SIZE_ASSUMED) : 1
  return own + items * below
}

function costOfSelections(
  run: CostRun,
  type: GraphQLNamedType,
  set: SelectionSetNode | undefined,
  pageSize: number | null,
): number {
  let cost = 0
  for (const node of set?.selections ?? []) {
    if (node.kind === Kind.FIELD) cost += costOfField(run, type, node, pageSize)
    else if (node.kind === Kind.INLINE_FRAGMENT) {
      const on = node.typeCondition === undefined ? type : run.schema.getType(node.typeCondition.name.value)
      cost += costOfSelections(run, on ?? type, node.selectionSet, pageSize)
    } else cost += costOfFragment(run, node.name.value, pageSize)
  }
  return cost
}

function costOfFragment(run: CostRun, name: string, pageSize: number | null): number {
  const key = `${name}/${pageSize}`
  let cost = run.measured.get(key)
  if (cost === undefined) {
    run.measured.set(key, 0)
    const fragment = run.document.definitions.find(
      (one) => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === name,
    )
    if (fragment?.kind !== Kind.FRAGMENT_DEFINITION) return 0
    const type = run.schema.getType(fragment.typeCondition.name.value)
    cost = type === undefined ? 0 : costOfSelections(run, type, fragment.selectionSet, pageSize)
    run.measured.set(key, cost)
  }
  return cost
}

/** What an operation of a valid document costs with these variables. Linear in the size of the document. */
export function operationCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const root = schema.getRootType(operation.operation)
  if (!root) return 0
  return costOfSelections(
    { schema, document, operation, variables, measured: new Map() },
    root,
    operation.selectionSet,
    null,
  )
}

/** The variables that page sizes come from: nothing else makes two runs of one document cost differently. */
function sizeVariables(document: DocumentNode): readonly string[] {
  const names = new Set<string>()
  const walk = (set: SelectionSetNode | undefined): void => {
    for (const node of set?.selections ?? []) {
      if (node.kind === Kind.FRAGMENT_SPREAD) continue
      if (node.kind === Kind.FIELD)
        for (const { name, value } of node.arguments ?? [])
          if (pageArguments.has(name.value) && value.kind === Kind.VARIABLE) names.add(value.name.value)
      walk(node.selectionSet)
    }
  }
  for (const definition of document.definitions)
    if (definition.kind === Kind.OPERATION_DEFINITION || definition.kind === Kind.FRAGMENT_DEFINITION)
      walk(definition.selectionSet)
  return [...names]
}

/**
 * Holds operations to {@link QUERY_COST_MAX}: `QUERY_TOO_COMPLEX`. Remembers results for as long as the document lives,
 * so that a query which is sent again and again is measured once per page size.
 */
export function createCostLimit(
  schema: GraphQLSchema,
): (document: DocumentNode, operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>) => void {
  const documents = new WeakMap<DocumentNode, { names: readonly string[]; costs: Map<string, number> }>()
  return (document, operation, variables) => {
    let known = documents.get(document)
    if (known === undefined) {
      known = { names: sizeVariables(document), costs: new Map() }
      documents.set(document, known)
    }
    const sizes = known.names.map((name) => variables[name])
    const key = JSON.stringify([
      operation.name?.value ?? null,
      ...sizes.map((size) => (typeof size === 'number' ? size : null)),
    ])
    let cost = known.costs.get(key)
    if (cost === undefined) {
      cost = operationCost(schema, document, operation, variables)
      if (known.costs.size >= RESULTS_KEPT_PER_DOCUMENT_MAX) known.costs.clear()
      known.costs.set(key, cost)
    }
    if (cost > QUERY_COST_MAX)
      throw new DomainError(
        'QUERY_TOO_COMPLEX',
        `The query costs ${cost}, more than the ${QUERY_COST_MAX} allowed: ask for smaller pages or fewer fields.`,
      )
  }
}
