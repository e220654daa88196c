import { getDirectiveValues, GraphQLIncludeDirective, GraphQLSkipDirective, Kind } from 'graphql'
import type { GraphQLResolveInfo, SelectionNode, SelectionSetNode } from 'graphql'

/**
 * True where a field of one of these names is selected anywhere below the field being resolved. May say yes where a type
 * condition rules the field out, never no where it is needed: it decides what is worth loading, not what is shown.
 */
export function selectsAny(info: GraphQLResolveInfo, names: ReadonlySet<string>): boolean {
  const fragmentsSeen = new Set<string>()
  const isLeftOut = (node: SelectionNode) =>
    getDirectiveValues(GraphQLSkipDirective, node, info.variableValues)?.['if'] === true ||
    getDirectiveValues(GraphQLIncludeDirective, node, info.variableValues)?.['if'] === false
  const inSet = (set: SelectionSetNode | undefined): boolean =>
    set !== undefined && set.selections.some((node) => !isLeftOut(node) && inNode(node))
  const inNode = (node: SelectionNode): boolean => {
    switch (node.kind) {
      case Kind.FIELD:
        return names.has(node.name.value) || inSet(node.selectionSet)
      case Kind.INLINE_FRAGMENT:
        return inSet(node.selectionSet)
      case Kind.FRAGMENT_SPREAD:
        if (fragmentsSeen.has(node.name.value)) return false
        fragmentsSeen.add(node.name.value)
        return inSet(info.fragments[node.name.value]?.selectionSet)
    }
  }
  return info.fieldNodes.some((field) => inSet(field.selectionSet))
}
