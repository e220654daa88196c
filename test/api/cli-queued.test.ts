import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemActor } from '../../src/admin-log/admin-entry.js'
import { failOver, recoverRegion } from '../../src/failover/fail-over.js'
import { systemClock } from '../../src/kernel/clock.js'
import { createWorld, type World } from '../harness/app.js'
import { type Cli, makeCli } from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'

let world: World
let cli: Cli
beforeAll(async () => {
  cli = makeCli()
  world = await createWorld()
})
afterAll(async () => {
  cli.remove()
  await world.close()
})

it('hyrelog ingest counts what is queued as accepted, and it is recorded when the region is back', async () => {
  const { EU } = world.acme.in
  const deps = { control: world.app.control, clock: systemClock }
  const change = { region: 'EU', reason: 'test', actor: systemActor } as const
  await failOver(deps, change)
  await eventually('the service to know', () => world.app.modes.isFailedOver('EU'))
  const line = (n: number) => JSON.stringify({ action: `queued.${n}`, category: 'c', idempotencyKey: `k-${n}` })
  const env = { HYRELOG_ENDPOINT: world.url, HYRELOG_API_KEY: EU.key }
  const stdin = [line(1), line(2)].join('\n')
  const result = await cli.run(['ingest'], { env, stdin })
  expect(result).toMatchObject({ code: 0, stdout: '2 read, 0 recorded, 2 queued, 0 replayed, 0 refused\n' })
  expect(await cli.run(['ingest'], { env, stdin })).toMatchObject({
    stdout: '2 read, 0 recorded, 2 replayed, 0 refused\n',
  })
  await recoverRegion(deps, change)
  await eventually('the region to be home', () => world.app.modes.home('EU') !== null)
  const { data } = await world.gql(EU.key, '{ workspaceEvents { nodes { action } } }')
  expect(data.workspaceEvents.nodes.map(({ action }: { action: string }) => action).toSorted()).toEqual([
    'queued.1',
    'queued.2',
  ])
})
