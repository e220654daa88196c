import { type GraphQLResolveInfo, Kind, type ValueNode } from 'graphql'
import type { InputFault } from '../kernel/domain-error.js'
import type { GraphqlContext } from './context.js'

/** Where in an argument each variable stands: its name, and the path inside the argument ('' for all of it). */
function variablePlaces(node: ValueNode, path: string): { variable: string; path: string }[] {
  switch (node.kind) {
    case Kind.VARIABLE:
      return [{ variable: node.name.value, path }]
    case Kind.LIST:
      return node.values.flatMap((value, index) => variablePlaces(value, `${path}[${index}]`))
    case Kind.OBJECT:
      return node.fields.flatMap((field) =>
        variablePlaces(field.value, path === '' ? field.name.value : `${path}.${field.name.value}`),
      )
    default:
      return []
  }
}

/**
 * What the text of an argument, as the client sent it, says more than its parsed value; fields are inside the argument
 * (`events[3].payload.amount`). An audit log must not record a number other than the one sent.
 */
export function textFaultsOf(context: GraphqlContext, info: GraphQLResolveInfo, argument: string): InputFault[] {
  const all = context.textFaults()
  if (all.length === 0) return []
  const node = info.fieldNodes[0]?.arguments?.find(({ name }) => name.value === argument)
  const places = node === undefined ? [] : variablePlaces(node.value, '')
  if (places.length === 0) return []
  // `variables` itself, given twice: of all that the first one holds nothing is left.
  const whole = all.filter(({ field }) => field === 'variables').map(({ message }) => ({ field: argument, message }))
  const inside = places.flatMap(({ variable, path }) => {
    const prefix = `variables.${variable}`
    return all.flatMap(({ field, message }) => {
      const rest = field.slice(prefix.length)
      if (!field.startsWith(prefix) || !(rest === '' || rest.startsWith('.') || rest.startsWith('['))) return []
      return [{ field: path === '' ? rest.replace(/^\./, '') || argument : `${path}${rest}`, message }]
    })
  })
  return [...whole, ...inside]
}
