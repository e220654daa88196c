import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readConfig } from '../../src/config.js'
import type { Region } from '../../src/kernel/region.js'
import { asPerson, outcome, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { makeDataFolder } from '../harness/data-folder.js'
import { eventually } from '../harness/eventually.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const token = 'an internal token of these tests'
let world: World
let second: Awaited<ReturnType<World['another']>>
let staff: Person
const proxies = new Map<Region, TcpProxy>()

beforeAll(async () => {
  for (const region of ['AU', 'EU'] as const) proxies.set(region, await TcpProxy.before(inject('postgres').serviceUrl))
  world = await createWorld({
    config: {
      internalToken: token,
      jobSchedules: { health: '0 0 1 1 *', 'expire-sessions': '7 7 * * *', 'no-such-job': '* * * * *' },
    },
    regionUrl: (region, url) => proxies.get(region)?.urlFor(url) ?? url,
  })
  second = await world.another({ config: { internalToken: undefined, jobSchedules: { health: '0 0 1 1 *' } } })
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(async () => {
  await second.app.close()
  await world.close()
  for (const proxy of proxies.values()) await proxy.close()
})

const runJob = (name: string, region: Region | null = null) =>
  staff.gql(
    `mutation ($input: RunJobInput!) { runJob(input: $input) { run { id startedAt finishedAt region outcome processed error } } }`,
    { input: { name, region } },
  )

describe('jobs', () => {
  it('are listed to staff with the schedule of the configuration', async () => {
    const { data } = await staff.gql('{ jobs { name schedule perRegion description runs(first: 2) { id } } }')
    const named = new Map<string, Record<string, unknown>>(
      data.jobs.map((job: { name: string }) => [job.name, job] as const),
    )
    expect([...named.keys()]).toEqual([...named.keys()].toSorted())
    for (const name of ['health', 'verify-chains', 'expire-exports', 'expire-idempotency-keys', 'expire-job-runs'])
      expect(named.get(name), name).toMatchObject({ runs: expect.any(Array), description: expect.stringMatching(/\w/) })
    expect(named.get('expire-sessions')).toMatchObject({ schedule: '7 7 * * *', perRegion: false })
    expect(named.get('verify-chains')).toMatchObject({ perRegion: true })
    expect(world.app.scheduler.problems).toEqual([expect.stringMatching(/no-such-job/)])
  })

  it('run when staff say so, for one region or all, and the admin log says who did', async () => {
    const one = await runJob('expire-idempotency-keys', 'US')
    expect(one.data.runJob.run).toMatchObject({ region: 'US', outcome: 'SUCCEEDED', processed: 0, error: null })
    const all = await runJob('expire-idempotency-keys')
    expect(all.data.runJob.run).toMatchObject({ region: null, outcome: 'SUCCEEDED' })
    const { data } = await staff.gql('{ jobs { name runs(first: 6) { id region outcome } } }')
    const { runs } = data.jobs.find((job: { name: string }) => job.name === 'expire-idempotency-keys')
    // The run over all, one of each region, and the one before.
    expect(runs).toHaveLength(6)
    expect(new Set(runs.map((run: { region: string | null }) => run.region))).toEqual(
      new Set([null, 'APAC', 'AU', 'EU', 'US']),
    )
    const log = await staff.gql('{ adminLog(first: 10) { nodes { action actorId targetType targetId payload } } }')
    expect(log.errors).toBeUndefined()
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'job.started',
      actorId: staff.gid,
      targetType: 'job_run',
      targetId: one.data.runJob.run.id,
      payload: { name: 'expire-idempotency-keys', region: 'US', skipped: false },
    })
  })

  it('are nodes for staff, and nothing to anybody else', async () => {
    const { data } = await runJob('expire-sessions')
    const { id } = data.runJob.run
    expect(id).toMatch(/^run_/)
    const query = `query ($id: ID!) { node(id: $id) { id ... on JobRun { outcome } } }`
    expect((await staff.gql(query, { id })).data.node).toEqual({ id, outcome: 'SUCCEEDED' })
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    expect((await owner.gql(query, { id })).data.node).toBeNull()
    expect((await world.gql(world.acme.key, query, { id })).data.node).toBeNull()
  })

  it('refuse what is no job, a region for a job that has none, and more runs than a page may have', async () => {
    expect(outcome(await runJob('text'))).toBe('NOT_FOUND')
    expect((await runJob('health', 'EU')).errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'input.region',
    })
    for (const first of [0, 101])
      expect(outcome(await staff.gql(`{ jobs { runs(first: ${first}) { id } } }`))).toBe('BAD_USER_INPUT')
  })

  it('take schedules from JOB_SCHEDULES, and refuse what is none by its name', async () => {
    const { path: DATA_DIR, remove } = await makeDataFolder()
    try {
      const config = await readConfig({ DATA_DIR, JOB_SCHEDULES: '{"health": "*/5 * * * *"}' })
      expect(config.jobSchedules).toEqual({ health: '*/5 * * * *' })
      for (const JOB_SCHEDULES of ['health', '{"health": "often"}', '{"health": 5}', '["* * * * *"]'])
        await expect(readConfig({ DATA_DIR, JOB_SCHEDULES })).rejects.toMatchObject({
          problems: [{ name: 'JOB_SCHEDULES' }],
        })
    } finally {
      await remove()
    }
  })
})

describe('metrics', () => {
  const scrape = (graphqlUrl: string, headers: Record<string, string>) =>
    fetch(graphqlUrl.replace('/graphql', '/metrics'), { headers })

  it('are refused without the token, and to everybody where there is none', async () => {
    for (const headers of [
      {},
      { 'x-internal-token': '' },
      { 'x-internal-token': `${token}!` },
      { authorization: token },
    ])
      expect((await scrape(world.url, headers as Record<string, string>)).status).toBe(403)
    for (const given of ['', 'undefined', token])
      expect((await scrape(second.url, { 'x-internal-token': given })).status).toBe(403)
  })

  it('say what the process has done, and of nobody', async () => {
    const [eventId] = await world.record(world.acme.in.US, [
      { action: 'a', category: 'c', actor: { id: 'alice', email: 'alice@example.com' } },
    ])
    await runJob('health')
    await fetch(`${world.url}/alice@example.com?actor=alice`)
    const response = await scrape(world.url, { 'x-internal-token': token })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    const text = await eventually('every region has said what is pending', async () => {
      const found = await (await scrape(world.url, { 'x-internal-token': token })).text()
      return found.includes('hyrelog_index_outbox_pending{region="US"}') && found
    })
    const value = (sample: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${sample} `))
          ?.split(' ')[1],
      )
    expect(value('hyrelog_job_runs_total{job="health",region="",outcome="SUCCEEDED"}')).toBeGreaterThan(0)
    expect(value('hyrelog_job_run_duration_seconds_count{job="health"}')).toBeGreaterThan(0)
    expect(value('hyrelog_events_recorded_total{region="US"}')).toBe(1)
    expect(value('hyrelog_commit_batch_events_count{region="US"}')).toBe(1)
    expect(value('hyrelog_commit_duration_seconds_count{region="US"}')).toBe(1)
    expect(value('hyrelog_region_up{region="US"}')).toBe(1)
    expect(value('hyrelog_index_outbox_pending{region="US"}')).toBeGreaterThanOrEqual(0)
    expect(
      value('hyrelog_http_request_duration_seconds_count{method="POST",route="/graphql",status="200"}'),
    ).toBeGreaterThan(0)
    expect(text).toContain('hyrelog_checkpoint_alarms_total')
    expect(text).toContain('hyrelog_verification_failures_total')
    expect(text).toContain('process_resident_memory_bytes')
    const secrets = [
      'alice',
      world.acme.id,
      world.acme.gid,
      world.acme.in.US.gid,
      world.acme.in.US.id,
      eventId!,
      staff.gid,
    ]
    for (const secret of secrets) expect(text).not.toContain(secret)
  })
})

describe('the health of regions', () => {
  const both = () => [world.app, second.app]
  const stateOf = (region: Region) => both().map((app) => app.health.of(region)?.state)
  const become = (region: Region, state: string) =>
    eventually(`${region} is ${state} to every process`, () => stateOf(region).every((one) => one === state), 1_000)
  const eventsOf = async (url: string) => {
    const startedMs = performance.now()
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${world.globex.key}` },
      body: JSON.stringify({ query: '{ globalEvents { regions { region status reason } } }' }),
    })
    const { data } = (await response.json()) as {
      data: { globalEvents: { regions: { region: Region; status: string }[] } }
    }
    const statuses = Object.fromEntries(data.globalEvents.regions.map(({ region, status }) => [region, status]))
    return { statuses, ms: performance.now() - startedMs }
  }
  const euOf = async (url: string) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${world.globex.key}` },
      body: JSON.stringify({ query: '{ companyRegions { primary { region healthy latencyMs } } }' }),
    })
    const { data } = (await response.json()) as { data: { companyRegions: { primary: Record<string, unknown> } } }
    return data.companyRegions.primary
  }

  it('flips within the check where a region hangs, costs no caller the wait, and is back at once', async () => {
    await runJob('health')
    await become('EU', 'HEALTHY')
    for (const { url } of [world, second])
      expect(await euOf(url)).toEqual({ region: 'EU', healthy: true, latencyMs: expect.any(Number) })

    await proxies.get('EU')!.set('hang')
    const checked = await runJob('health')
    expect(checked.data.runJob.run).toMatchObject({ outcome: 'SUCCEEDED', processed: 4 })
    const tookMs = Date.parse(checked.data.runJob.run.finishedAt) - Date.parse(checked.data.runJob.run.startedAt)
    expect(tookMs).toBeLessThan(2_000)
    await become('EU', 'UNHEALTHY')
    expect(stateOf('US')).toEqual(['HEALTHY', 'HEALTHY'])
    // The second process has never found out for itself, and does not have to.
    for (const { url } of [second, world]) {
      const { statuses, ms } = await eventsOf(url)
      expect(statuses).toMatchObject({ EU: 'UNAVAILABLE', US: 'OK' })
      expect(ms).toBeLessThan(500)
      expect(await euOf(url)).toMatchObject({ healthy: false })
    }

    await proxies.get('EU')!.set('pass')
    for (const { url } of [world, second])
      await eventually('EU answers again', async () => (await eventsOf(url)).statuses['EU'] === 'OK', 3_000)
    await runJob('health')
    await become('EU', 'HEALTHY')
    expect(await euOf(second.url)).toMatchObject({ healthy: true })
  })

  it('flips where a region is stopped', async () => {
    await proxies.get('AU')!.set('refuse')
    await runJob('health')
    await become('AU', 'UNHEALTHY')
    expect(world.app.health.of('AU')).toMatchObject({ answers: false, latencyMs: null, reason: 'unreachable' })
    await proxies.get('AU')!.set('pass')
    await runJob('health')
    await become('AU', 'HEALTHY')
  })

  it('counts a region that takes no writes as unhealthy, though it can be read', async () => {
    const { name } = world.databases.regions.US
    const admin = new Client({ connectionString: world.databases.superuserUrl(name) })
    await admin.connect()
    try {
      await admin.query(`alter database ${name} set default_transaction_read_only = on`)
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
        [name],
      )
      await runJob('health')
      await become('US', 'UNHEALTHY')
      expect(world.app.health.of('US')).toMatchObject({ answers: true, reason: 'read_only' })
      const { statuses } = await eventsOf(world.url)
      expect(statuses).toMatchObject({ US: 'OK' })
    } finally {
      await admin.query('set default_transaction_read_only = off')
      await admin.query(`alter database ${name} set default_transaction_read_only = off`)
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
        [name],
      )
      await admin.end()
    }
    await eventually('US takes writes again', async () => {
      await runJob('health')
      return world.app.health.of('US')?.state === 'HEALTHY'
    })
  })

  it('keeps each check for a day', async () => {
    const { control } = world.app
    await control.query(
      `insert into region_health_check values ('EU', now() - interval '25 hours', true, true, 1, null), ('EU', now() - interval '23 hours', true, true, 1, null)`,
    )
    await runJob('health')
    const rows = await control.query<{ old: string; kept: string }>(
      `select count(*) filter (where checked_at < now() - interval '24 hours') as old,
              count(*) filter (where checked_at < now() - interval '22 hours') as kept from region_health_check`,
    )
    expect(rows).toEqual([{ old: '0', kept: '1' }])
  })
})
