import { writeFileSync } from 'node:fs'
import { printedSchema } from './build-schema.js'

writeFileSync('schema.graphql', printedSchema())
