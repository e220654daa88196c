import { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { outcome } from '../harness/actors.js'
import type { WorldOptions } from '../harness/app.js'
import { verifiedChain } from '../harness/chain.js'
import { eventually } from '../harness/eventually.js'
import { actionsOf, createOutageWorld, heal, ingestAt, type OutageWorld, taken } from '../harness/outage.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

// The rules by which writes may go home or into the queue. Each was shown to be needed; each test fails without its rule.

const event = (action: string) => ({ action, category: 'c' })

// Dropping databases may take long on a busy machine: not in a test's time.
const worlds: OutageWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

async function inWorld(options: WorldOptions, run: (world: OutageWorld) => Promise<void>): Promise<void> {
  const world = await createOutageWorld(options)
  worlds.push(world)
  await run(world)
}

const ingest = (world: OutageWorld, action: string, url = world.url) =>
  taken(ingestAt(url, world.acme.in.EU.key, event(action)))

/** Holds something in the control database until it is let go. */
async function holding(world: OutageWorld, sql: string): Promise<Client> {
  const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.control.name) })
  await client.connect()
  await client.query('begin')
  await client.query(sql)
  return client
}

/** As if another process were draining the EU, and never came to an end. */
const drainingElsewhere = (world: OutageWorld) => holding(world, 'select pg_advisory_xact_lock(7265647, 2)')

describe('while the queue of a region is not empty', () => {
  const order = async (
    world: OutageWorld,
    rules?: { readonly queueWhileNotEmpty: false },
  ): Promise<{ status: string; actions: string[] }> => {
    const other = await world.another(rules === undefined ? {} : { failover: rules })
    await ingest(world, 'first')
    await world.eu.set('refuse')
    await ingest(world, 'second')
    const drain = await drainingElsewhere(world)
    await world.eu.set('pass')
    await eventually('the region to be seen again', async () => {
      const answer = await world.gql(world.acme.in.EU.key, '{ workspaceEvents { nodes { id } } }')
      return answer.errors === undefined && (rules === undefined || other.app.modes.home('EU') !== null)
    })
    const third = await ingest(world, 'third', other.url)
    await drain.end()
    await heal(world)
    await eventually('all to be home', async () => (await world.pending()) === 0)
    await eventually('the drained ones to be read', async () => (await actionsOf(world, world.acme.in.EU)).length === 3)
    const actions = await actionsOf(world, world.acme.in.EU)
    await verifiedChain(world.app.registry.get('EU').database, world.acme.in.EU)
    await other.app.close()
    return { status: third.status, actions }
  }

  it('every write goes there, by whatever process', () =>
    inWorld({}, async (world) => {
      expect(await order(world)).toEqual({ status: 'QUEUED', actions: ['first', 'second', 'third'] })
    }))

  it('(control) and without that rule the order of a workspace is lost', () => {
    const rules = { queueWhileNotEmpty: false } as const
    return inWorld({ failover: rules }, async (world) => {
      const { status, actions } = await order(world, rules)
      expect(status).toBe('RECORDED')
      expect(actions).not.toEqual(['first', 'second', 'third'])
    })
  })
})

describe('a process that is not heard of', () => {
  it('is waited for until its lease is over: nobody queues while it may still write home', async () => {
    const times = { leaseMs: 3_000, outageLeaseMs: 3_000 }
    expect.hasAssertions()
    await inWorld({ homeLeaseTimes: times }, async (world) => {
      const silent = await TcpProxy.before(world.databases.control.databaseUrl)
      const other = await world.another({ controlUrl: (url) => silent.urlFor(url) })
      await eventually('its lease', () => other.app.modes.home('EU') !== null)
      await silent.set('hang')
      await world.eu.set('refuse')
      let believedThen = true
      // Within the time a request has there may be no answer but the error; whoever repeats it gets one.
      await eventually('it to be queued', async () => {
        const answer = await ingestAt(world.url, world.acme.in.EU.key, event('queued'))
        believedThen = other.app.modes.home('EU') !== null
        return outcome(answer) === 'OK' && answer.data.ingestEvent.receipt.status === 'QUEUED'
      })
      expect(believedThen).toBe(false)
      await silent.set('pass')
      await heal(world)
      await other.app.close()
      await silent.close()
    })
  })

  it('goes on while control is down, for as long as nobody could have changed anything', async () => {
    const times = { leaseMs: 3_000, outageLeaseMs: 60_000 }
    expect.hasAssertions()
    await inWorld({ homeLeaseTimes: times }, async (world) => {
      const cut = await TcpProxy.before(world.databases.control.databaseUrl)
      const other = await world.another({ controlUrl: (url) => cut.urlFor(url) })
      await ingest(world, 'known here')
      await ingest(world, 'known there', other.url)
      await cut.set('refuse')
      await world.controlProxy.set('refuse')
      const cutAt = performance.now()
      await eventually('more than a lease to have passed', async () => {
        expect((await ingest(world, 'on', other.url)).status).toBe('RECORDED')
        return performance.now() - cutAt > 2 * times.leaseMs
      })
      // One of them finds control again, and the other may still write home: it is waited for.
      await world.controlProxy.set('pass')
      await eventually('the outage to be noted', async () => {
        const [row] = await world.app.control
          .query<{ noted: boolean }>("select noted_at > '-infinity' as noted from control_outage")
          .catch(() => [])
        return row?.noted === true
      })
      await world.eu.set('refuse')
      const answer = await ingestAt(world.url, world.acme.in.EU.key, event('refused'))
      expect(outcome(answer)).toBe('REGION_UNAVAILABLE')
      expect(other.app.modes.home('EU')).not.toBeNull()
      // As soon as it is heard of, it is waited for no longer.
      await cut.set('pass')
      await eventually('it to be queued', async () => {
        const again = await ingestAt(world.url, world.acme.in.EU.key, event('queued'))
        return again.data?.ingestEvent?.receipt.status === 'QUEUED'
      })
      await heal(world)
      await other.app.close()
      await cut.close()
    })
  })
})

describe('a process that died while control was down', () => {
  it('keeps a region from being queued for, but not from recording once it is back', async () => {
    expect.hasAssertions()
    await inWorld({ homeLeaseTimes: { leaseMs: 3_000, outageLeaseMs: 600_000 } }, async (world) => {
      const cut = await TcpProxy.before(world.databases.control.databaseUrl)
      const other = await world.another({ controlUrl: (url) => cut.urlFor(url) })
      await ingest(world, 'known')
      await cut.set('refuse')
      await world.controlProxy.set('refuse')
      await eventually('control to be missed, and facts to be used without it', async () => {
        const answer = await ingestAt(world.url, world.acme.in.EU.key, event('on'))
        const renewed = await world.app.control.query('select 1').catch(() => null)
        return outcome(answer) === 'OK' && renewed === null
      })
      await eventually('its lease to be late', async () => {
        const client = new Client({ connectionString: world.databases.superuserUrl(world.databases.control.name) })
        await client.connect()
        const { rows } = await client.query(
          "select from home_lease having min(renewed_at) < clock_timestamp() - interval '4 seconds'",
        )
        await client.end()
        return rows.length > 0
      })
      await world.controlProxy.set('pass')
      await world.eu.set('refuse')
      await eventually('the region to be closed', async () => {
        await ingestAt(world.url, world.acme.in.EU.key, event('neither'))
        return world.app.modes.of('EU')?.mode === 'CLOSING'
      })
      await world.eu.set('pass')
      await eventually('it to record again', async () => {
        const answer = await ingestAt(world.url, world.acme.in.EU.key, event('home'))
        return answer.data?.ingestEvent?.receipt.status === 'RECORDED'
      })
      expect(world.app.modes.of('EU')).toMatchObject({ mode: 'HOME' })
      expect(await world.pending()).toBe(0)
      await cut.set('pass')
      await other.app.close()
      await cut.close()
    })
  })
})

describe('what is queued', () => {
  it('is queued only while the region’s mode says so, at the moment of its commit', () =>
    inWorld({}, async (world) => {
      await world.eu.set('refuse')
      await ingest(world, 'first')
      const drain = await drainingElsewhere(world)
      await world.eu.set('pass')
      const change = await holding(world, "select change_region_mode('EU')")
      const late = ingest(world, 'late')
      await eventually('it to wait for the mode', async () => {
        const { rows } = await change.query(
          "select 1 from pg_locks where locktype = 'advisory' and classid = 7265646 and not granted and database = (select oid from pg_database where datname = current_database())",
        )
        return rows.length > 0
      })
      // Somebody else has brought everything home, and opens it, just now.
      await change.query('delete from pending_write')
      await change.query(
        "update region_mode set mode = 'HOME', epoch = epoch + 1, pending_key = null where region = 'EU'",
      )
      await change.query('commit')
      expect((await late).status).toBe('RECORDED')
      expect(await world.pending()).toBe(0)
      await change.end()
      await drain.end()
    }))

  it('and a region opens only when nothing is', () =>
    inWorld({}, async (world) => {
      await world.eu.set('refuse')
      await ingest(world, 'first')
      const drain = await drainingElsewhere(world)
      await world.eu.set('pass')
      await world.app.scheduler.runNow('failover-recovery', 'EU')
      expect(world.app.modes.of('EU')).toMatchObject({ mode: 'QUEUEING' })
      await drain.end()
      await heal(world)
      expect(await world.pending()).toBe(0)
      expect(await actionsOf(world, world.acme.in.EU)).toEqual(['first'])
    }))
})
