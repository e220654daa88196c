// A process: the bare server that ours is measured against. One POST is one INSERT; no chain, no seal, no GraphQL.
import Fastify from 'fastify'
import { Pool } from 'pg'
import { bareRow, insertOneSql } from './bare-table.js'
import type { SampleEvent } from './sample-events.js'

const [databaseUrl, poolMax] = process.argv.slice(2)
const pool = new Pool({ connectionString: databaseUrl, max: Number(poolMax) })
const app = Fastify()

app.post<{ Body: SampleEvent }>('/events', async (request) => {
  const result = await pool.query<{ id: string; sequence: string }>({
    name: 'insert-one',
    text: insertOneSql,
    values: bareRow(request.body),
  })
  return { data: { receipt: result.rows[0] } }
})

process.send?.({ url: `${await app.listen({ host: '127.0.0.1', port: 0 })}/events` })
