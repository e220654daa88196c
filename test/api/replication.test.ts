import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asPerson, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { copied, countRows, replicaOf, rowsOf, setReplicas } from '../harness/replicas.js'

let world: World
let staff: Person
beforeAll(async () => {
  world = await createWorld()
  staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
})
afterAll(() => world.close())

const events = (count: number, more: Record<string, unknown> = {}) =>
  Array.from({ length: count }, (_, index) => ({
    action: 'doc.read',
    category: 'docs',
    actor: { id: `user-${index % 7}`, email: `user-${index % 7}@people.example` },
    payload: { index },
    ...more,
  }))

describe('a company that replicates', () => {
  it('has its chains filled from the beginning, byte for byte, and followed as they grow', async () => {
    const { acme } = world
    const { AU, EU } = acme.in
    await world.record(AU, events(600))
    await setReplicas(staff, acme, ['EU'])
    await copied(world, 'EU', AU.id, 600)
    await world.record(AU, events(3))
    await copied(world, 'EU', AU.id, 603)
    const columns = `sequence, id, company_id, term, body, prev_hash, hash, occurred_at, received_at, action, actor_id_tag, identity_blob, content_blob`
    const read = (region: 'AU' | 'EU', table: string) =>
      rowsOf(world, region, `select ${columns} from ${table} where workspace_id = $1 order by sequence`, [AU.id])
    expect(await read('EU', 'replica.event')).toEqual(await read('AU', 'event'))
    expect(await countRows(world, 'EU', 'replica.merkle_node', [AU.id])).toBe(2)
    // What lives in the region is not copied there.
    expect(await replicaOf(world, 'EU', EU.id)).toBeNull()
  })
})
