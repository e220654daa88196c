import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Region } from '../../src/kernel/region.js'
import { asPerson, outcome } from '../harness/actors.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { copied, rowsOf, setReplicas } from '../harness/replicas.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

/*
 * Acme's home region AU goes away; its replica is in EU. Globex has none.
 */

const deadlineMs = 1_500
let world: World
let au: TcpProxy
let eu: TcpProxy
let own: WorldWorkspace
const ids: string[] = []

beforeAll(async () => {
  const plain = await createWorld()
  const { databaseUrl } = plain.databases.control
  ;[au, eu] = await Promise.all([TcpProxy.before(databaseUrl), TcpProxy.before(databaseUrl)])
  await plain.close()
  world = await createWorld({
    config: { regionDeadlineMs: deadlineMs },
    regionUrl: (region, url) => (region === 'AU' ? au.urlFor(url) : region === 'EU' ? eu.urlFor(url) : url),
  })
  own = world.acme.in.AU
  const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
  ids.push(
    ...(await world.record(own, [
      {
        action: 'first',
        category: 'test',
        actor: { id: 'me', email: 'me@people.example', name: 'Me Myself' },
        target: { id: 'doc-1', type: 'doc' },
        payload: { secret: 'value' },
        traceId: 'trace-1',
      },
      { action: 'second', category: 'test', actor: { id: 'you' } },
    ])),
  )
  await world.record(world.acme.in.US, [{ action: 'elsewhere', category: 'test' }])
  await world.record(world.globex.in.AU, [{ action: 'globex', category: 'test' }])
  await setReplicas(staff, world.acme, ['EU'])
  await copied(world, 'EU', own.id, 2)
  await eventually('the lag is known', async () => {
    const [row] = await world.app.control.query<{ n: number }>(
      `select count(*)::int as n from replica_chain r join checkpoint_copy c using (workspace_id)
       where r.workspace_id = $1 and r.sequence = 2 and c.tree_size = 2 and r.current_at is not null`,
      [own.id],
    )
    return row!.n === 1
  })
})
afterAll(async () => {
  await world.close()
  await Promise.all([au.close(), eu.close()])
})
afterEach(async () => {
  await Promise.all([au.set('pass'), eu.set('pass')])
  await eventually('all regions answer again', async () => {
    const page = await globalEvents()
    return page.regions.every(({ status }) => status === 'OK')
  })
})

interface Report {
  region: Region
  status: string
  servedBy: Region | null
  eventCount: number
  reason: string | null
  replicationLagEvents: number | null
  replicationLagSeconds: number | null
}
const report = 'region status servedBy eventCount reason replicationLagEvents replicationLagSeconds'
async function globalEvents(key = world.acme.key, filter = '') {
  const { data, errors } = await world.gql(
    key,
    `{ globalEvents(first: 50 ${filter}) { nodes { id action dataRegion servedBy actor { id email } } complete totalCount regions { ${report} } } }`,
  )
  expect(errors).toBeUndefined()
  return data.globalEvents as {
    nodes: { id: string; action: string; dataRegion: Region; servedBy: Region; actor: { id: string } | null }[]
    complete: boolean
    totalCount: number | null
    regions: Report[]
  }
}
const full = `id action dataRegion servedBy actor { id email name } target { id } payload traceId hash`
/** Drops unwrapped keys, so that nothing is answered from memory that a replica can't answer. */
const forgetKeys = (): void => world.app.subjectKeys.forget('AU')

describe.each(['refuse', 'hang'] as const)('while the home region is down (%s)', (mode) => {
  const down = async (): Promise<void> => {
    forgetKeys()
    await au.set(mode)
  }

  it('globalEvents is served by the replica, and says so with its lag', async () => {
    await down()
    const page = await globalEvents()
    expect(page.complete).toBe(true)
    expect(page.nodes.map(({ action, dataRegion, servedBy }) => [action, dataRegion, servedBy])).toEqual(
      expect.arrayContaining([
        ['first', 'AU', 'EU'],
        ['second', 'AU', 'EU'],
        ['elsewhere', 'US', 'US'],
      ]),
    )
    expect(page.nodes).toHaveLength(3)
    expect(page.totalCount).toBe(3)
    expect(page.nodes.find(({ action }) => action === 'first')!.actor).toEqual({ id: 'me', email: 'me@people.example' })
    const ofAu = page.regions.find(({ region }) => region === 'AU')!
    expect(ofAu).toMatchObject({
      status: 'SERVED_BY_REPLICA',
      servedBy: 'EU',
      eventCount: 2,
      replicationLagEvents: 0,
      replicationLagSeconds: 0,
    })
    expect(ofAu.reason).toMatch(/^(timeout|unreachable)$/)
    const ofUs = page.regions.find(({ region }) => region === 'US')!
    expect(ofUs).toMatchObject({ status: 'OK', replicationLagEvents: null, replicationLagSeconds: null })
  })

  it('so are lists of one region, filters, single events and their disclosures', async () => {
    await down()
    const found = await globalEvents(world.acme.key, ', filter: { actorEmail: "ME@people.example" }')
    expect(found.nodes.map(({ id }) => id)).toEqual([ids[0]])
    const ofWorkspace = await world.gql(own.key, `{ workspaceEvents { nodes { ${full} } region { ${report} } } }`)
    expect(ofWorkspace.data.workspaceEvents.region).toMatchObject({ status: 'SERVED_BY_REPLICA', servedBy: 'EU' })
    expect(ofWorkspace.data.workspaceEvents.nodes).toContainEqual({
      id: ids[0],
      action: 'first',
      dataRegion: 'AU',
      servedBy: 'EU',
      actor: { id: 'me', email: 'me@people.example', name: 'Me Myself' },
      target: { id: 'doc-1' },
      payload: { secret: 'value' },
      traceId: 'trace-1',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    const ofCompany = await world.gql(world.acme.key, `{ companyEvents { nodes { id } region { status } } }`)
    expect(ofCompany.data.companyEvents).toMatchObject({ region: { status: 'SERVED_BY_REPLICA' } })
    expect(ofCompany.data.companyEvents.nodes).toHaveLength(2)
    const one = await world.gql(world.acme.key, `{ event(id: "${ids[0]}") { ${full} } node(id: "${ids[1]}") { id } }`)
    expect(one.errors).toBeUndefined()
    expect(one.data.event).toMatchObject({ servedBy: 'EU', payload: { secret: 'value' } })
    expect(one.data.node.id).toBe(ids[1])
  })

  it('verifyChain verifies the replica, and says that it was that', async () => {
    await down()
    const { data, errors } = await world.gql(
      own.key,
      `{ verifyChain(workspaceId: "${own.gid}") { ok checkedEvents toSequence servedBy firstBreak { reason } } }`,
    )
    expect(errors).toBeUndefined()
    expect(data.verifyChain).toEqual({ ok: true, checkedEvents: 2, toSequence: 2, servedBy: 'EU', firstBreak: null })
    const beyond = await world.gql(own.key, `{ verifyChain(workspaceId: "${own.gid}", toSequence: 3) { ok } }`)
    expect(outcome(beyond)).toBe('REGION_UNAVAILABLE')
  })

  it('is not called complete while the replica is known to be behind', async () => {
    const setKnown = (sequence: number) =>
      world.app.control.query('update replica_chain set sequence = $2 where workspace_id = $1', [own.id, sequence])
    await down()
    await setKnown(1)
    const page = await globalEvents()
    expect(page.complete).toBe(false)
    expect(page.regions.find(({ region }) => region === 'AU')).toMatchObject({
      status: 'SERVED_BY_REPLICA',
      replicationLagEvents: 1,
    })
    await setKnown(2)
    expect((await globalEvents()).complete).toBe(true)
  })

  it('shows nobody a copy of what is not theirs, and a company without a replica that its events are missing', async () => {
    await down()
    const page = await globalEvents(world.globex.key)
    expect(page.complete).toBe(false)
    expect(page.regions.find(({ region }) => region === 'AU')).toMatchObject({ status: 'UNAVAILABLE', servedBy: null })
    expect(page.nodes).toEqual([])
    const one = await world.gql(world.globex.key, `{ event(id: "${ids[0]}") { id } }`)
    expect(one.data?.event ?? null).toBeNull()
  })
})

describe('a replica', () => {
  it('that is down too leaves the region UNAVAILABLE', async () => {
    await Promise.all([au.set('refuse'), eu.set('refuse')])
    const page = await globalEvents()
    expect(page.complete).toBe(false)
    expect(page.regions.find(({ region }) => region === 'AU')).toMatchObject({ status: 'UNAVAILABLE' })
    expect(outcome(await world.gql(own.key, '{ workspaceEvents { nodes { id } } }'))).toBe('REGION_UNAVAILABLE')
  })

  it.each([
    ['stopped', `state = 'STOPPED', stopped_reason = 'ROWS_MISMATCH'`, `state = 'COPYING', stopped_reason = null`],
    ['being filled for the first time', 'filled_at = null', 'filled_at = now()'],
  ])('that is %s is not read', async (_, spoil, mend) => {
    const set = (what: string) =>
      rowsOf(world, 'EU', `update replica.chain_head set ${what} where workspace_id = '${own.id}'`)
    await au.set('refuse')
    await set(spoil)
    try {
      expect(outcome(await world.gql(own.key, '{ workspaceEvents { nodes { id } } }'))).toBe('REGION_UNAVAILABLE')
    } finally {
      await set(mend)
    }
    expect(outcome(await world.gql(own.key, '{ workspaceEvents { nodes { id } } }'))).toBe('OK')
  })

  it('that is behind says by how much', async () => {
    await au.set('refuse')
    // Home is down, so that nobody says otherwise meanwhile.
    const set = (sequence: number, since: string) =>
      world.app.control.query(
        `update replica_chain set sequence = $2, current_at = now() - $3::interval where workspace_id = $1`,
        [own.id, sequence, since],
      )
    await set(1, '1 hour')
    const behind = (await globalEvents()).regions.find(({ region }) => region === 'AU')!
    expect(behind).toMatchObject({ status: 'SERVED_BY_REPLICA', replicationLagEvents: 1 })
    expect(behind.replicationLagSeconds).toBeGreaterThanOrEqual(3_600)
    const { data } = await world.gql(
      world.acme.key,
      '{ companyRegions { primary { replicationLagEvents } replicas { replicationLagEvents replicationLagSeconds } } }',
    )
    expect(data.companyRegions.primary.replicationLagEvents).toBeNull()
    expect(data.companyRegions.replicas[0].replicationLagEvents).toBe(1)
    await set(2, '0 s')
  })

  it('that is behind an erasure is not read, whatever it still holds', async () => {
    await au.set('refuse')
    await world.app.control.query('insert into erasure_floor (workspace_id, company_id, sequence) values ($1, $2, 3)', [
      own.id,
      world.acme.id,
    ])
    await eventually(
      'the replica is refused',
      async () => outcome(await world.gql(own.key, '{ workspaceEvents { nodes { id } } }')) === 'REGION_UNAVAILABLE',
    )
    expect(outcome(await world.gql(world.acme.key, `{ event(id: "${ids[0]}") { id } }`))).toBe('REGION_UNAVAILABLE')
    expect((await globalEvents()).regions.find(({ region }) => region === 'AU')).toMatchObject({
      status: 'UNAVAILABLE',
    })
  })
})
