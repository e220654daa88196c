import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { outcome } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { checkpointAt, copied, events } from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'
import { verdictOf } from '../harness/verification.js'

// In front of control and of the regions by name.
const proxies = new Map<string, TcpProxy>()
let world: World

beforeAll(async () => {
  const { serviceUrl } = inject('postgres')
  for (const name of ['CONTROL', 'EU', 'APAC', 'READ_ONLY']) proxies.set(name, await TcpProxy.before(serviceUrl))
  world = await createWorld({
    controlUrl: (url) => proxies.get('CONTROL')!.urlFor(url),
    regionUrl: (region, url) => proxies.get(region)?.urlFor(url) ?? url,
    // US has a read-only server; AU's lags behind for ever: it is the database of another region.
    readOnlyUrl: (region, url) =>
      region === 'US'
        ? proxies.get('READ_ONLY')!.urlFor(url)
        : region === 'AU'
          ? url.replace(/_au$/, '_apac')
          : undefined,
  })
  for (const region of ['EU', 'US', 'AU'] as const) {
    await world.record(world.acme.in[region], events(20))
    await checkpointAt(world, world.acme.in[region], 20)
    await copied(world, world.acme.in[region], 20)
  }
  // Nothing is to be signed or copied while places are away.
  await world.app.checkpointer.stop()
})
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.set('pass')
  await world.close()
  for (const proxy of proxies.values()) await proxy.close()
})

const away = async (names: readonly string[], work: () => Promise<void>): Promise<void> => {
  for (const name of names) await proxies.get(name)!.set('refuse')
  try {
    await work()
  } finally {
    for (const name of names) await proxies.get(name)!.set('pass')
    await eventually('everything to answer again', async () => {
      const answer = await world.gql(world.acme.key, verifyEu())
      return answer.data?.verifyChain?.ok === true
    })
  }
}
const verifyEu = () => `{ verifyChain(workspaceId: "${world.acme.in.EU.gid}") { ok } }`

// First: once control was away, what is remembered of keys is asked for anew.
it('does with one copy of the checkpoint, and calls nothing whole without any (REGION_UNAVAILABLE)', async () => {
  const ask = () => world.gql(world.acme.key, verifyEu())
  expect((await ask()).data.verifyChain.ok).toBe(true)
  await away(['CONTROL'], async () => {
    expect((await ask()).data?.verifyChain?.ok).toBe(true)
    await proxies.get('APAC')!.set('refuse')
    const answer = await ask()
    expect(outcome(answer)).toBe('REGION_UNAVAILABLE')
    expect(answer.errors![0]!.extensions.regions!.toSorted()).toEqual(['APAC', 'CONTROL'])
    await proxies.get('APAC')!.set('pass')
  })
  await away(['APAC'], async () => expect((await ask()).data?.verifyChain?.ok).toBe(true))
})

it('says so where the region does not answer (REGION_UNAVAILABLE)', async () => {
  await away(['EU'], async () => {
    const answer = await world.gql(world.acme.key, verifyEu())
    expect(outcome(answer)).toBe('REGION_UNAVAILABLE')
    expect(answer.errors![0]!.extensions.regions).toEqual(['EU'])
  })
})

it('reads from the read-only server, and from the primary where that is away or behind', async () => {
  expect(await verdictOf(world, world.acme.in.US)).toMatchObject({ ok: true, checkedEvents: 20 })
  await away(['READ_ONLY'], async () => {
    expect(await verdictOf(world, world.acme.in.US)).toMatchObject({ ok: true, checkedEvents: 20 })
  })
  expect(await verdictOf(world, world.acme.in.AU)).toMatchObject({ ok: true, checkedEvents: 20 })
})
