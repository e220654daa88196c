import { describe, expect, it } from 'vitest'
import { newestKnownCheckpoints } from '../../src/checkpoints/newest-known-checkpoints.js'
import { createWorld, sendGraphql } from '../harness/app.js'
import {
  asSuperuser,
  checkpointAt,
  checkpointOf,
  copied,
  copiesOf,
  databaseOf,
  events,
  headAt,
  listening,
  setBack,
} from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'

describe('a region that was set back', () => {
  it('is noticed by a process that starts, which signs no second history', async () => {
    const { log, alarms } = listening()
    const world = await createWorld({ checkpointSweepMs: 500 })
    try {
      const chain = world.acme.in.EU
      await world.record(chain, events(20))
      await checkpointAt(world, chain, 20)
      const before = await headAt(world, chain, 20)
      await world.record(chain, events(10))
      await checkpointAt(world, chain, 30)
      await copied(world, chain, 30)
      await world.app.checkpointer.stop()
      await setBack(world, chain, 20, before.frontier, before.hash)
      const restarted = await world.another({ log })
      for (const place of ['CONTROL', 'APAC'])
        await eventually(`the alarm of ${place}`, () => alarms.some((alarm) => alarm.place === place))
      for (const alarm of alarms)
        expect(alarm).toMatchObject({ kind: 'ROLLED_BACK', workspaceId: chain.id, knownSize: 30, treeSize: 20 })
      // It grows past what was signed, with another history: still no signature.
      await sendGraphql(
        restarted.url,
        chain.key,
        'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }',
        {
          input: { events: events(25) },
        },
      )
      await eventually('the fork to be noticed', () =>
        alarms.some(({ kind, knownSize }) => kind === 'FORKED' && knownSize === 30),
      )
      expect(await checkpointOf(world, chain)).toBeNull()
      const { control } = await copiesOf(world, chain)
      expect(control[0]!.tree_size).toBe('30')
      expect(restarted.app.checkpointer.alarms.counts.get('FORKED')).toBeGreaterThan(0)
      const known = await newestKnownCheckpoints(world.app, chain)
      expect(known).toMatchObject({
        home: null,
        control: { treeSize: 30 },
        foreign: [{ region: 'APAC', copy: { treeSize: 30 } }],
      })
      // Others go on.
      await world.record(world.globex.in.EU, events(2))
      await eventually('the other chain', async () => (await checkpointOf(world, world.globex.in.EU))?.treeSize === 2)
      await restarted.app.close()
    } finally {
      await world.close()
    }
  })

  it('is noticed by the process that was running all the while', async () => {
    const { log, alarms } = listening()
    const world = await createWorld({ log })
    try {
      const chain = world.acme.in.EU
      await world.record(chain, events(20))
      await checkpointAt(world, chain, 20)
      const before = await headAt(world, chain, 20)
      await world.record(chain, events(10))
      await checkpointAt(world, chain, 30)
      await copied(world, chain, 30)
      await setBack(world, chain, 20, before.frontier, before.hash)
      await world.record(chain, events(1))
      await eventually('the alarm', () => alarms.some(({ kind }) => kind === 'ROLLED_BACK'))
      expect(alarms[0]).toMatchObject({ workspaceId: chain.id, place: 'MEMORY', knownSize: 30, treeSize: 21 })
      await world.record(chain, events(30))
      await eventually('the fork to be noticed', () => alarms.some(({ kind }) => kind === 'FORKED'))
      expect(await checkpointOf(world, chain)).toBeNull()
    } finally {
      await world.close()
    }
  })

  it('is told from one whose checkpoint was forged', async () => {
    const { log, alarms } = listening()
    const world = await createWorld()
    try {
      const chain = world.acme.in.EU
      await world.record(chain, events(5))
      const genuine = await checkpointAt(world, chain, 5)
      await copied(world, chain, 5)
      await world.app.checkpointer.stop()
      const note = genuine.note.replace('\n5\n', '\n4\n')
      await asSuperuser(world, databaseOf(world, 'EU'), [
        `update checkpoint set note = '${note}', tree_size = 4 where workspace_id = '${chain.id}'`,
      ])
      const restarted = await world.another({ log })
      await eventually('the alarm', () => alarms.some(({ kind }) => kind === 'BAD_SIGNATURE'))
      expect(alarms[0]).toMatchObject({ workspaceId: chain.id, place: 'HOME', knownSize: 4 })
      await restarted.app.close()
    } finally {
      await world.close()
    }
  })
})
