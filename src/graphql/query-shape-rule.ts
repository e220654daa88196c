import { GraphQLError, Kind, type ASTVisitor, type SelectionSetNode, type ValidationContext } from 'graphql'
import { DomainError } from '../kernel/domain-error.js'

/** How deep fields may nest. Introspection has a limit of its own. */
export const QUERY_DEPTH_MAX = 10
/** How many fields of an operation may be renamed: without a limit one request is a thousand. */
export const QUERY_ALIASES_MAX = 15
export const QUERY_DIRECTIVES_MAX = 10

/** What an operation amounts to once its fragments are written out. */
interface Shape {
  readonly depth: number
  readonly aliases: number
  readonly directives: number
}

const empty: Shape = { depth: 0, aliases: 0, directives: 0 }

/**
 * A validation rule: operations deeper than {@link QUERY_DEPTH_MAX}, or with more aliases or directives than allowed,
 * are `QUERY_TOO_COMPLEX`. Fragments count wherever they are spread, and each is measured once, so that a document
 * which doubles itself level by level costs no more to refuse than to read.
 */
export function queryShapeRule(context: ValidationContext): ASTVisitor {
  const measured = new Map<string, Shape>()

  const ofFragment = (name: string): Shape => {
    const known = measured.get(name)
    if (known !== undefined) return known
    // Spread in itself: another rule refuses that.
    measured.set(name, empty)
    const fragment = context.getFragment(name)
    const shape = fragment ? ofSelections(fragment.selectionSet) : empty
    measured.set(name, shape)
    return shape
  }

  const ofSelections = (set: SelectionSetNode | undefined): Shape => {
    let { depth, aliases, directives } = empty
    for (const node of set?.selections ?? []) {
      directives += node.directives?.length ?? 0
      let inner = empty
      if (node.kind === Kind.FRAGMENT_SPREAD) inner = ofFragment(node.name.value)
      else if (node.kind === Kind.INLINE_FRAGMENT) inner = ofSelections(node.selectionSet)
      else {
        if (node.alias !== undefined) aliases++
        const isIntrospection = node.name.value === '__schema' || node.name.value === '__type'
        const below = ofSelections(node.selectionSet)
        inner = { ...below, depth: isIntrospection ? 1 : below.depth + 1 }
      }
      depth = Math.max(depth, inner.depth)
      aliases += inner.aliases
      directives += inner.directives
    }
    return { depth, aliases, directives }
  }

  const check = (what: string, found: number, max: number): void => {
    if (found <= max) return
    const originalError = new DomainError('QUERY_TOO_COMPLEX', `The query has more ${what} than the ${max} allowed.`)
    context.reportError(new GraphQLError(originalError.message, { originalError }))
  }

  return {
    OperationDefinition(operation) {
      const shape = ofSelections(operation.selectionSet)
      check('levels', shape.depth, QUERY_DEPTH_MAX)
      check('aliases', shape.aliases, QUERY_ALIASES_MAX)
      check('directives', shape.directives + (operation.directives?.length ?? 0), QUERY_DIRECTIVES_MAX)
      return false
    },
  }
}
