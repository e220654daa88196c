import { readFileSync } from 'node:fs'
import {
  buildSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql'
import { describe, expect, it } from 'vitest'
import { printedSchema } from './build-schema.js'

describe('the schema', () => {
  it('is what schema.graphql says (npm run schema)', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toBe(printedSchema())
  })

  it('describes every type, field, argument and enum value, in a sentence', () => {
    const schema = buildSchema(printedSchema())
    const wordless: string[] = []
    const check = (name: string, description: string | null | undefined) => {
      if (!/^\S.*\S[.?!]$/s.test(description ?? '')) wordless.push(name)
    }
    for (const type of Object.values(schema.getTypeMap())) {
      if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue
      if (type !== schema.getQueryType() && type !== schema.getMutationType()) check(type.name, type.description)
      if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value.description)
      if (isInputObjectType(type))
        for (const field of Object.values(type.getFields())) check(`${type.name}.${field.name}`, field.description)
      if (isObjectType(type) || isInterfaceType(type))
        for (const field of Object.values(type.getFields())) {
          check(`${type.name}.${field.name}`, field.description)
          for (const arg of field.args) check(`${type.name}.${field.name}(${arg.name})`, arg.description)
        }
    }
    expect(wordless).toEqual([])
  })
})
