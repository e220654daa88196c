import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Database } from '../../src/db/database.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { newUuid } from '../../src/kernel/ids.js'
import { replicateRegion } from '../../src/replication/replicate-region.js'
import type { ReplicationDeps } from '../../src/replication/replication-deps.js'
import type { KeyVault } from '../../src/sealing/key-vault.js'
import { asPerson } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { indexed } from '../harness/archive.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, type Trio } from '../harness/gdpr.js'
import { rowsOf, setReplicas } from '../harness/replicas.js'

/*
 * A process that copies a chain, and holds what it read there while the erasure of a person comes and goes.
 */

let world: World
let trio: Trio
beforeAll(async () => {
  // What is copied, and when, is said here.
  world = await createWorld({ replicates: false })
  trio = await makeTrio(world, world.acme)
  await setReplicas(await asPerson(world, { staffRole: 'SUPER_ADMIN' }), world.acme, ['US'])
})
afterAll(() => world.close())

const never = new AbortController().signal
const replicate = (more: Partial<ReplicationDeps> = {}) =>
  replicateRegion({ ...world.app.replication, ...more }, 'US', never)

/** An object of which one method waits when it has something to answer, or before it is asked. */
function held<T extends object>(target: T, method: keyof T, wait: () => Promise<void>, when: 'before' | 'after'): T {
  return new Proxy(target, {
    get(own, name) {
      const value: unknown = Reflect.get(own, name, own)
      if (typeof value !== 'function') return value
      const bound = value.bind(own) as (...given: unknown[]) => unknown
      if (name !== method) return bound
      return async (...given: unknown[]) => {
        if (when === 'before') await wait()
        const answer = await bound(...given)
        if (when === 'after') await wait()
        return answer
      }
    },
  })
}

const columns = 'sequence, body, identity_blob, content_blob, actor_id_tag, actor_email_tag, erased_at, actor_pseudonym'

it.each([
  ['DELETE', 'has read it and stores it afterwards'],
  ['DELETE', 'holds the replica, and has yet to give it the keys'],
  ['ANONYMIZE', 'has read it and stores it afterwards'],
  ['ANONYMIZE', 'holds the replica, and has yet to give it the keys'],
] as const)('%s reaches the replica though a process %s', async (requestType, where) => {
  const { AU } = world.acme.in
  await replicate()
  const actorId = `subject-${newUuid().slice(-8)}`
  await world.record(AU, [
    { action: 'a', category: 'c', actor: { id: actorId }, payload: { title: 'Report', by: actorId } },
    { action: 'a', category: 'c', actor: { id: 'boss' }, payload: { about: actorId, kept: true } },
  ])
  await indexed(world)
  const [came, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const wait = (): Promise<void> => {
    came.resolve()
    return go.promise
  }
  const { registry, vault } = world.app.replication
  let asked = 0
  const slow: Partial<ReplicationDeps> = where.startsWith('has')
    ? {
        registry: {
          find: (region) => registry.find(region),
          use: (region, work) =>
            registry.use(region, (handle) => {
              // Heads first, then the events.
              if (region !== 'AU' || ++asked !== 2) return work(handle)
              return work({ ...handle, database: held<Database>(handle.database, 'transaction', wait, 'after') })
            }),
        } as ReplicationDeps['registry'],
      }
    : { vault: held<KeyVault>(vault, 'bucketKey', wait, 'before') }
  const copying = replicate(slow)
  await came.promise
  const id = await approvedRequest(trio, { companyId: world.acme.gid, requestType, actorId })
  const { erasure } = world.app
  // It does not get past a region whose keys somebody holds: let go when home has destroyed its own.
  const onStep = (step: string): void => {
    if (!where.startsWith('has') && step === 'bucket.turned') go.resolve()
  }
  await eraseRequests({ ...erasure, onStep }, never)
  go.resolve()
  expect((await copying).failures).toEqual([])
  await eventually('the request to be done', async () => {
    if ((await readRequest(trio.staff, id)).status === 'DONE') return true
    await eraseRequests(erasure, never)
    return false
  })
  const of = (region: 'AU' | 'US', table: string) =>
    rowsOf<Record<string, unknown>>(
      world,
      region,
      `select ${columns} from ${table} where workspace_id = '${AU.id}' order by sequence`,
    )
  const copy = await of('US', 'replica.event')
  expect(copy).toEqual((await of('AU', 'event')).slice(0, copy.length))
  expect(copy.filter((row) => row['erased_at'] !== null).length).toBeGreaterThanOrEqual(2)
  const ids = async (region: 'AU' | 'US', which: string): Promise<string[]> =>
    (await rowsOf<{ id: string }>(world, region, `select id from subject_key where ${which}`)).map((row) => row.id)
  const atHome = new Set(await ids('AU', 'replica_of is null'))
  expect((await ids('US', `replica_of = 'AU'`)).filter((key) => !atHome.has(key))).toEqual([])
})
