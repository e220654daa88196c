// A process: raw SQL from node-postgres, what our answers are measured against.
import { Pool } from 'pg'
import { bareRow, columnsOf, insertManySql } from './bare-table.js'
import { resultOf, type LoadResult } from './load-result.js'
import { randomOf, sampleEvent } from './sample-events.js'

export type SqlLoad = {
  readonly databaseUrl: string
  readonly connections: number
  readonly warmUpMs: number
  readonly durationMs: number
} & (
  | { readonly kind: 'bulk'; readonly rows: number }
  | { readonly kind: 'statement'; readonly text: string; readonly values: readonly unknown[]; readonly rowsMin: number }
)

async function runSqlLoad(load: SqlLoad): Promise<LoadResult> {
  const pool = new Pool({ connectionString: load.databaseUrl, max: load.connections })
  const random = randomOf(2)
  const batches =
    load.kind === 'bulk'
      ? Array.from({ length: 8 }, () => Array.from({ length: load.rows }, () => sampleEvent(random, Date.now())))
      : []
  const latenciesMs: number[] = []
  let failure: string | null = null
  let next = 0
  const countFrom = performance.now() + load.warmUpMs
  const end = countFrom + load.durationMs
  const one = async (): Promise<void> => {
    if (load.kind === 'bulk') {
      const values = columnsOf((batches[next++ % batches.length] ?? []).map(bareRow))
      await pool.query({ name: 'insert-many', text: insertManySql, values })
    } else {
      const { rows } = await pool.query({ name: 'statement', text: load.text, values: [...load.values] })
      if (rows.length < load.rowsMin) throw new Error(`only ${rows.length} rows`)
    }
  }
  await Promise.all(
    Array.from({ length: load.connections }, async () => {
      while (performance.now() < end && failure === null) {
        const sentAt = performance.now()
        try {
          await one()
        } catch (error) {
          failure = String(error)
        }
        const now = performance.now()
        if (now >= countFrom && now < end) latenciesMs.push(now - sentAt)
      }
    }),
  )
  await pool.end()
  return resultOf(latenciesMs, load.durationMs, failure)
}

process.once('message', (load) => {
  void runSqlLoad(load as SqlLoad).then((result) => process.send?.(result, () => process.disconnect()))
})
