import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { IngestInput } from '../../src/events/ingest-input.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { encodeId } from '../../src/kernel/ids.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'
import { makeVaultFolder, Recorder, type Tenant } from '../harness/recorder.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const event = (more: Partial<IngestInput> = {}): IngestInput => ({ action: 'doc.read', category: 'docs', ...more })

let vault: Awaited<ReturnType<typeof makeVaultFolder>>
beforeAll(async () => {
  vault = await makeVaultFolder()
})
afterAll(() => vault.remove())

/** Every event of every region, and every entry of the index, by id. */
async function bothSides(databases: ClonedDatabases): Promise<{ stored: string[]; indexed: string[] }> {
  const ask = async (name: string, sql: string): Promise<string[]> => {
    const client = new Client({ connectionString: databases.superuserUrl(name) })
    await client.connect()
    const { rows } = await client.query<{ entry: string }>(sql)
    await client.end()
    return rows.map((row) => row.entry)
  }
  const columns = `workspace_id, company_id, project_id, occurred_at, received_at, action, category, target_type,
    actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag`
  const stored = await Promise.all(
    regions.map((region) =>
      ask(databases.regions[region].name, `select concat_ws('|', '${region}', id, ${columns}) as entry from event`),
    ),
  )
  const indexed = await ask(
    databases.control.name,
    `select concat_ws('|', region, event_id, ${columns}) as entry from event_index`,
  )
  return { stored: stored.flat().toSorted(), indexed: indexed.toSorted() }
}

const pendingOf = async (recorder: Recorder, region: Region): Promise<number> => recorder.indexer.pendingOf(region)

describe('in normal running', () => {
  let databases: ClonedDatabases
  let recorder: Recorder
  beforeAll(async () => {
    databases = await cloneDatabases()
    recorder = await Recorder.on(databases, vault.path)
    recorder.indexer.start()
  })
  afterAll(async () => {
    await recorder.close()
    await databases.drop()
  })

  test('an event is in the index within a second, with its tags and nothing that names a person', async () => {
    const tenant = await recorder.tenant()
    const project = await recorder.project(tenant.workspace)
    const receipt = await recorder.one(
      tenant.viewer,
      event({
        actor: { id: 'user-17', email: 'Ada@Example.com', name: 'Ada Lovelace' },
        target: { id: 'doc-4', type: 'document' },
        projectId: encodeId('project', project.id),
        payload: { secret: 'in the payload' },
        occurredAt: new Date('2020-02-29T12:34:56.789Z'),
        traceId: 'trace-9',
      }),
    )
    const [row] = await eventually(
      'the event in the index',
      async () => {
        const rows = await recorder.control.query<Record<string, unknown>>(
          'select * from event_index where event_id = $1',
          [receipt.eventId],
        )
        return rows.length > 0 && rows
      },
      1_000,
    )
    const tagKey = await recorder.facts.tagKey(tenant.company.id)
    expect(row).toMatchObject({
      company_id: tenant.company.id,
      workspace_id: tenant.workspace.id,
      project_id: project.id,
      region: 'EU',
      occurred_at: new Date('2020-02-29T12:34:56.789Z'),
      action: 'doc.read',
      category: 'docs',
      target_type: 'document',
      actor_id_tag: equalityTag(tagKey, 'actor.id', 'user-17'),
      actor_email_tag: equalityTag(tagKey, 'actor.email', 'ada@example.com'),
      target_id_tag: equalityTag(tagKey, 'target.id', 'doc-4'),
      trace_id_tag: equalityTag(tagKey, 'traceId', 'trace-9'),
    })
    const { rows } = await asSuperuser(
      databases,
      databases.control.name,
      `select (event_index.*)::text as text from event_index`,
    )
    for (const personal of ['user-17', 'xample.com', 'Lovelace', 'doc-4', 'trace-9', 'payload'])
      expect(JSON.stringify(rows)).not.toContain(personal)
  })

  test('what several processes record and index at once is in it exactly once', async () => {
    const other = await Recorder.on(databases, vault.path)
    other.indexer.start()
    const tenants = await Promise.all([...regions, ...regions].map((region) => recorder.tenant(region)))
    await Promise.all(
      tenants.flatMap((tenant) =>
        numbers(12).map((n) =>
          n % 3 === 0
            ? (n % 2 === 0 ? recorder : other).many(
                tenant.viewer,
                numbers(7).map(() => event({ actor: { id: `u-${n}` } })),
              )
            : (n % 2 === 0 ? recorder : other).one(tenant.viewer, event({ payload: { n } })),
        ),
      ),
    )
    const sides = await eventually('an index that knows everything', async () => {
      const both = await bothSides(databases)
      return both.indexed.length >= both.stored.length && both
    })
    expect(sides.indexed).toEqual(sides.stored)
    for (const region of regions)
      await eventually('an empty outbox', async () => (await pendingOf(recorder, region)) === 0)
    await other.close()
  })

  test('what another process recorded is found without a nudge', async () => {
    const silent = await Recorder.on(databases, vault.path)
    const tenant = await silent.tenant('US')
    const receipt = await silent.one(tenant.viewer, event())
    const entries = await eventually(
      'the event in the index',
      async () => {
        const rows = await recorder.control.query('select region from event_index where event_id = $1', [
          receipt.eventId,
        ])
        return rows.length > 0 && rows
      },
      1_500,
    )
    expect(entries).toEqual([{ region: 'US' }])
    await silent.close()
  })
})

async function asSuperuser(databases: ClonedDatabases, name: string, sql: string) {
  const client = new Client({ connectionString: databases.superuserUrl(name) })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

/** Databases of one's own; control and the EU over networks that can fail. */
async function inFailingWorld(
  run: (world: {
    databases: ClonedDatabases
    recorder: Recorder
    tenant: Tenant
    control: TcpProxy
    eu: TcpProxy
  }) => Promise<void>,
): Promise<void> {
  const databases = await cloneDatabases()
  const control = await TcpProxy.before(databases.control.databaseUrl)
  const eu = await TcpProxy.before(databases.regions.EU.databaseUrl)
  const urls = Object.fromEntries(regions.map((region) => [region, databases.regions[region].databaseUrl]))
  const recorder = await Recorder.on(databases, vault.path, {
    control: { ...databases.control, databaseUrl: control.urlFor(databases.control.databaseUrl) },
    regionUrls: { ...urls, EU: eu.urlFor(urls['EU']!) },
  })
  try {
    const tenant = await recorder.tenant()
    await recorder.one(tenant.viewer, event())
    await run({ databases, recorder, tenant, control, eu })
  } finally {
    await recorder.close()
    await Promise.all([control.close(), eu.close()])
    await databases.drop()
  }
}

describe('after an outage', () => {
  test('a dead control database does not stop recording, and the index catches up', () =>
    inFailingWorld(async ({ databases, recorder, tenant, control }) => {
      recorder.indexer.start()
      await control.set('refuse')
      const receipts = await Promise.all(numbers(50).map((n) => recorder.one(tenant.viewer, event({ payload: { n } }))))
      expect(receipts).toHaveLength(50)
      expect(await pendingOf(recorder, 'EU')).toBeGreaterThan(0)
      await control.set('pass')
      await eventually(
        'an index that knows everything',
        async () => (await bothSides(databases)).indexed.length === 51,
        12_000,
      )
      const sides = await bothSides(databases)
      expect(sides.indexed).toEqual(sides.stored)
    }))

  test('a region that was away is indexed when it is back, and the others did not wait', () =>
    inFailingWorld(async ({ databases, recorder, tenant, eu }) => {
      const elsewhere = await recorder.tenant('AU')
      await recorder.many(
        tenant.viewer,
        numbers(20).map(() => event()),
      )
      await eu.set('refuse')
      recorder.indexer.start()
      await recorder.many(
        elsewhere.viewer,
        numbers(5).map(() => event()),
      )
      await eventually('the AU in the index', async () => (await bothSides(databases)).indexed.length === 5, 2_000)
      await eu.set('pass')
      await eventually('the EU in the index', async () => (await bothSides(databases)).indexed.length === 26, 12_000)
      const sides = await bothSides(databases)
      expect(sides.indexed).toEqual(sides.stored)
    }))

  test('what was indexed but not yet forgotten is not indexed twice', () =>
    inFailingWorld(async ({ databases, recorder, tenant }) => {
      await recorder.many(
        tenant.viewer,
        numbers(9).map(() => event()),
      )
      const { rows } = await asSuperuser(databases, databases.regions.EU.name, 'select * from index_outbox order by id')
      while ((await recorder.indexer.indexSome('EU')) > 0);
      // As if the process had died between the commit in control and the one in the region.
      await asSuperuser(
        databases,
        databases.regions.EU.name,
        (rows as Record<string, string>[])
          .map(
            (row) => `insert into index_outbox (workspace_id, company_id, first_sequence, last_sequence)
              values ('${row['workspace_id']}', '${row['company_id']}', ${row['first_sequence']}, ${row['last_sequence']});`,
          )
          .join(''),
      )
      expect(await pendingOf(recorder, 'EU')).toBe(10)
      while ((await recorder.indexer.indexSome('EU')) > 0);
      const sides = await bothSides(databases)
      expect(sides.indexed).toEqual(sides.stored)
      expect(await pendingOf(recorder, 'EU')).toBe(0)
    }))

  test('a long stretch is worked off in pieces', () =>
    inFailingWorld(async ({ databases, recorder, tenant }) => {
      for (let n = 0; n < 5; n++)
        await recorder.many(
          tenant.viewer,
          numbers(1000).map(() => event()),
        )
      await asSuperuser(
        databases,
        databases.regions.EU.name,
        `with gone as (delete from index_outbox returning *)
         insert into index_outbox (workspace_id, company_id, first_sequence, last_sequence)
         select workspace_id, company_id, min(first_sequence), max(last_sequence) from gone group by 1, 2`,
      )
      expect(await pendingOf(recorder, 'EU')).toBe(5001)
      expect(await recorder.indexer.indexSome('EU')).toBe(2000)
      expect(await pendingOf(recorder, 'EU')).toBe(3001)
      while ((await recorder.indexer.indexSome('EU')) > 0);
      const sides = await bothSides(databases)
      expect(sides.indexed).toHaveLength(5001)
      expect(sides.indexed).toEqual(sides.stored)
    }))
})
