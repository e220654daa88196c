import { describe, expect, it } from 'vitest'
import { asPerson } from '../harness/actors.js'
import { createWorld } from '../harness/app.js'
import { archiveNow, coldNow, DAY_MS, followRestores, listObjects } from '../harness/archive.js'
import { buckets } from '../harness/buckets.js'
import { settableClock } from '../harness/settable-clock.js'

/*
 * The way of a year-old event, into the archive and the cold and back, on every kind of bucket there is a server for.
 */

/** Ceph is a cluster, and starts like one where the machine is busy. */
const SERVERS_TIMEOUT_MS = 120_000

const events = Array.from({ length: 6 }, (_, n) => ({
  action: 'doc.read',
  category: 'docs',
  actor: { id: `u-${n}` },
  payload: { n },
}))

describe.each(buckets)('archived to $name', ({ name, missing, open }) => {
  it.skipIf(missing !== undefined)(
    `goes cold and comes back${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const clock = settableClock(new Date('2025-03-10T09:00:00Z'))
      const bucket = await open(clock)
      const world = await createWorld({ clock, openStore: () => Promise.resolve(bucket.store) })
      try {
        const { EU } = world.acme.in
        await world.record(EU, events)
        clock.advance(380 * DAY_MS)
        expect(await archiveNow(world, 'EU')).toBe(6)
        const read = () =>
          world.gql(EU.key, '{ workspaceEvents(filter: { includeArchived: true }) { nodes { payload actor { id } } } }')
        expect((await read()).data.workspaceEvents.nodes).toHaveLength(6)
        const verdict = async () =>
          (await world.gql(EU.key, `{ verifyChain(workspaceId: "${EU.gid}") { ok linkOnlyEvents } }`)).data.verifyChain

        expect(await coldNow(world, 'EU')).toBe(1)
        const [cold] = await listObjects(world, EU)
        expect(cold).toMatchObject({ storageClass: 'COLD', eventCount: 6 })
        expect((await read()).errors?.[0]?.extensions).toMatchObject({
          code: 'RESTORE_REQUIRED',
          archiveObjectIds: [cold!.id],
        })
        expect(await verdict()).toEqual({ ok: true, linkOnlyEvents: 6 })

        const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
        const asked = await owner.gql(
          `mutation { requestRestore(input: { archiveObjectId: "${cold!.id}", days: 2 }) { archiveObject { storageClass } } }`,
        )
        expect(asked.errors, name).toBeUndefined()
        bucket.finishRestores()
        await followRestores(world, 'EU')
        const [restored] = await listObjects(world, EU)
        expect(restored).toMatchObject({ storageClass: 'RESTORED', restoredUntil: expect.any(String) })
        const { nodes } = (await read()).data.workspaceEvents
        expect(nodes.map(({ payload }: { payload: { n: number } }) => payload.n).toSorted()).toEqual([0, 1, 2, 3, 4, 5])
        expect(await verdict()).toEqual({ ok: true, linkOnlyEvents: 0 })
        const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
        const verified = await staff.gql(`mutation { verifyArchive(archiveObjectId: "${cold!.id}") { verdict } }`)
        expect(verified.data.verifyArchive).toEqual({ verdict: 'OK' })

        // Over by the bucket's own word, or taken back where it leaves that to us.
        clock.advance(4 * DAY_MS)
        await followRestores(world, 'EU')
        expect((await listObjects(world, EU))[0]).toMatchObject({ storageClass: 'COLD', restoredUntil: null })
        expect((await read()).errors?.[0]?.extensions['code']).toBe('RESTORE_REQUIRED')
      } finally {
        await world.close()
        await bucket.stop()
      }
    },
    SERVERS_TIMEOUT_MS,
  )
})
