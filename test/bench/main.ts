// npm run bench [-- --quick] [-- --only single,bulk,page,searchable,filters,verify,replication]
import { cpus, release, totalmem } from 'node:os'
import { openBenchWorld } from './bench-world.js'
import { measureBulk } from './case-bulk.js'
import { measureFilters } from './case-filters.js'
import { measurePage } from './case-page.js'
import { measureReplication } from './case-replication.js'
import { measureSearchable } from './case-searchable.js'
import { measureSingle } from './case-single.js'
import { measureVerify } from './case-verify.js'
import { tableOf } from './report.js'

const log = (line: string): void => void process.stdout.write(`${line}\n`)

const cases = {
  single: { heading: '(1) Single events over HTTP, 64 connections', measure: measureSingle },
  bulk: { heading: '(2) Events in bulk', measure: measureBulk },
  searchable: { heading: 'Searchable', measure: measureSearchable },
  page: { heading: '(3) A page over four regions', measure: measurePage },
  filters: { heading: '(4) Every filter as the stored events grow, p50', measure: measureFilters },
  verify: { heading: '(5) Verifying chains', measure: measureVerify },
  replication: { heading: '(6) Filling a replica', measure: measureReplication },
} as const

const args = process.argv.slice(2)
const quick = args.includes('--quick')
const only = args.includes('--only') ? (args[args.indexOf('--only') + 1] ?? '').split(',') : Object.keys(cases)

log(
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
)
if (quick) log('A quick run: it shows that everything runs; its figures are not for quoting.')

for (const [name, { heading, measure }] of Object.entries(cases)) {
  if (!only.includes(name)) continue
  log(`\n… ${heading}`)
  // Fresh databases: none finds what another has stored.
  const world = await openBenchWorld(quick)
  try {
    log(tableOf(heading, await measure(world, log)))
  } finally {
    await world.close()
  }
}
