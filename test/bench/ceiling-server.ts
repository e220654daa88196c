// A process: our own HTTP and GraphQL server over a schema that does nothing, which is as fast as anything built on it
// can be: a trivial mutation, and a page of fifty events from memory.
import {
  GraphQLBoolean,
  GraphQLID,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  type GraphQLOutputType,
} from 'graphql'
import { pino } from 'pino'
import { nobody } from '../../src/auth/viewer.js'
import type { DirectoryLoaders } from '../../src/directory/directory-loaders.js'
import { DateTimeScalar, JsonObjectScalar, SafeIntScalar } from '../../src/graphql/scalars.js'
import { createHttpServer } from '../../src/server/http-server.js'
import { randomOf, sampleEvent } from './sample-events.js'

const pageSize = 50

const object = (name: string, fields: Readonly<Record<string, GraphQLOutputType>>): GraphQLObjectType =>
  new GraphQLObjectType({
    name,
    fields: Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, { type }])),
  })

const text = new GraphQLNonNull(GraphQLString)
const event = object('AuditEvent', {
  id: new GraphQLNonNull(GraphQLID),
  dataRegion: text,
  action: text,
  category: text,
  actor: object('Actor', { id: GraphQLString, email: GraphQLString, name: GraphQLString }),
  target: object('Target', { id: GraphQLString, type: GraphQLString }),
  payload: new GraphQLNonNull(JsonObjectScalar),
  metadata: JsonObjectScalar,
  traceId: GraphQLString,
  occurredAt: new GraphQLNonNull(DateTimeScalar),
  receivedAt: new GraphQLNonNull(DateTimeScalar),
  sequence: new GraphQLNonNull(SafeIntScalar),
  hash: text,
  prevHash: GraphQLString,
  workspace: object('Workspace', { id: new GraphQLNonNull(GraphQLID), slug: text }),
})
const edge = object('Edge', { cursor: text, node: new GraphQLNonNull(event) })
const connection = object('Connection', {
  edges: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(edge))),
  pageInfo: object('PageInfo', { hasNextPage: GraphQLBoolean, endCursor: GraphQLString }),
  complete: GraphQLBoolean,
})

const random = randomOf(3)
const hash = 'ab'.repeat(32)
const page = {
  edges: Array.from({ length: pageSize }, (_, index) => ({
    cursor: `cursor-${index}`,
    node: {
      ...sampleEvent(random, Date.now()),
      id: `evt_eu_${index}`,
      dataRegion: 'EU',
      occurredAt: new Date(),
      receivedAt: new Date(),
      sequence: index,
      hash,
      prevHash: hash,
      workspace: { id: 'ws_1', slug: 'main' },
    },
  })),
  pageInfo: { hasNextPage: true, endCursor: 'cursor' },
  complete: true,
}

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { page: { type: connection, resolve: () => page } } }),
  mutation: new GraphQLObjectType({
    name: 'Mutation',
    fields: {
      touch: {
        type: object('Touched', { id: GraphQLInt }),
        args: { input: { type: new GraphQLNonNull(JsonObjectScalar) } },
        resolve: () => ({ id: 1 }),
      },
    },
  }),
})

const server = await createHttpServer({
  schema,
  log: pino({ level: 'silent' }),
  introspection: false,
  graphiql: false,
  bodyLimitBytes: 1024 * 1024,
  trustedProxies: [],
  authenticate: () => Promise.resolve(nobody),
  loadersFor: () => ({}) as DirectoryLoaders,
  isReady: () => true,
})
process.send?.({ url: `${await server.listen({ host: '127.0.0.1', port: 0 })}/graphql` })
