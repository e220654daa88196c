import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createWorld, type World } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'

let world: World
const regionsUsed = ['AU', 'US', 'EU', 'APAC'] as const
beforeAll(async () => {
  world = await createWorld({ replicates: false })
  for (const region of regionsUsed) {
    const workspace = world.acme.in[region]
    await world.record(
      workspace,
      Array.from({ length: 30 }, (_, index) => ({
        action: 'nested',
        category: 'test',
        projectId: workspace.project.gid,
        actor: { id: `actor ${index}` },
        payload: { index },
      })),
    )
  }
  await eventually('the index has caught up', async () => {
    const { data } = await world.gql(world.acme.key, '{ globalEvents(first: 1) { totalCount } }')
    return data.globalEvents.totalCount === 120
  })
})
afterAll(() => world.close())

// What runs behind the requests goes on meanwhile. The heads of chains are asked for on both sides: with a page, its state.
const background = new RegExp(
  [
    'checkpoint|index_outbox|^(?!with state).*chain_head|set_config|region_data_store|last_used_at = ',
    'home_lease|region_mode|export_job|job_lease|job_run|job_slot|signing_key|admin_event|erasure_debt',
    'pg_try_advisory|^select 1$',
  ].join('|'),
  's',
)

/** The statements that run meanwhile, by the database they go to; without those that only frame a transaction. */
async function statementsDuring(run: () => Promise<void>): Promise<Map<string, string[]>> {
  const seen = new Map<string, string[]>()
  // Called through, only listened to: the statements really run.
  const spy = vi.spyOn(Client.prototype, 'query')
  try {
    await run()
    for (const [index, [statement]] of spy.mock.calls.entries()) {
      const { database } = spy.mock.contexts[index]! as unknown as { database: string }
      const text = typeof statement === 'string' ? statement : (statement as unknown as { text: string }).text
      if (/^\s*(begin|commit|rollback|set |listen)/i.test(text) || background.test(text)) continue
      seen.set(database, [...(seen.get(database) ?? []), text])
    }
  } finally {
    spy.mockRestore()
  }
  return seen
}

const page = `{ globalEvents(first: 100) { edges { cursor node {
  id actor { id } payload
  company { id name workspaces { id } }
  workspace { id name company { id } projects { id name } }
  project { id name workspace { id } } } } } }`

describe('a page of 100 events with all that hangs on them', () => {
  const ask = async () => {
    const { data, errors } = await world.gql(world.acme.key, page)
    expect(errors).toBeUndefined()
    expect(data.globalEvents.edges).toHaveLength(100)
  }

  it('costs one query per region, one for its keys, and one per kind of thing in control, with nothing in memory', async () => {
    const { app, databases } = world
    app.facts.reset()
    for (const region of regionsUsed) app.subjectKeys.forget(region)
    const seen = await statementsDuring(ask)
    for (const region of regionsUsed) {
      const statements = seen.get(databases.regions[region].name) ?? []
      expect(
        statements.filter((text) => text.includes('from event')),
        region,
      ).toHaveLength(1)
      expect(
        statements.filter((text) => text.includes('subject_key')),
        region,
      ).toHaveLength(1)
      expect(statements, region).toHaveLength(2)
    }
    const control = seen.get(databases.control.name) ?? []
    const about = (table: string) => control.filter((text) => new RegExp(`from "?${table}"?[ \\n]`).test(text))
    // The key with its company and workspace; the company's workspaces; projects of the events; projects of workspaces.
    expect(about('api_key')).toHaveLength(1)
    expect(about('workspace').length).toBeLessThanOrEqual(1)
    expect(about('company').length).toBeLessThanOrEqual(1)
    expect(about('project').length).toBeLessThanOrEqual(2)
    expect(control.length).toBeLessThanOrEqual(5)
  })

  it('costs one query per region and the list of projects when directory and keys are in memory', async () => {
    await ask()
    const seen = await statementsDuring(ask)
    for (const region of regionsUsed) expect(seen.get(world.databases.regions[region].name), region).toHaveLength(1)
    expect((seen.get(world.databases.control.name) ?? []).length).toBeLessThanOrEqual(2)
  })

  it('does not read sealed data that was not asked for, nor count what was not asked for', async () => {
    const seen = await statementsDuring(async () => {
      await world.gql(world.acme.key, '{ globalEvents(first: 100) { nodes { id action } } }')
    })
    const all = [...seen.values()].flat()
    expect(all.filter((text) => text.includes('from event')).length).toBe(regionsUsed.length)
    expect(all.filter((text) => /_blob|subject_key|event_index/.test(text))).toEqual([])
  })
})
