import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { SharedCache } from '../../src/cache/shared-cache.js'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { decodeRegionalId } from '../../src/kernel/ids.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { pepper, type World, type WorldWorkspace } from '../harness/app.js'
import { CacheStage, idsOf, pageOf, type Process, record } from '../harness/cache-stage.js'
import { needlesOf, NeedleSet } from '../harness/disk-scan.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest } from '../harness/gdpr.js'
import { hasRedis, needsRedis, type TestRedis } from '../harness/redis.js'

/*
 * What an erasure leaves in the caches: nothing.
 */

const never = new AbortController().signal
let stage: CacheStage
let redis: TestRedis
let world: World
let a: Process
let b: Process
let EU: WorldWorkspace

beforeAll(async () => {
  if (!hasRedis) return
  stage = await CacheStage.open()
  ;({ redis, world, a, b } = stage)
  EU = world.acme.in.EU
})
afterAll(async () => {
  if (hasRedis) await stage.close()
})

describe.skipIf(!hasRedis)(`an erasure${needsRedis}`, () => {
  const subject = { id: 'kunde-4711', email: 'Zoe.Quint@People.Example', name: 'Zoe Quint' }
  it('leaves no page of the company in Redis or in any memory, and waits for a Redis that does not answer', async () => {
    const trio = await makeTrio(world, world.acme)
    await redis.client.flushall()
    const kept: { group: string; name: string }[] = []
    const spy = vi.spyOn(SharedCache.prototype, 'write')
    const own = await record(a, EU, { actor: subject, payload: { of: subject.name } })
    const other = await record(a, EU, { actor: { id: 'other' }, payload: { about: subject.email } })
    const filter = { actorEmail: subject.email }
    for (const [process, one] of [
      [a, {}],
      [a, filter],
    ] as const)
      await stage.shareVia(process, EU, one)
    await Promise.all([pageOf(b, EU), pageOf(b, EU, filter)])
    for (const [group, name] of spy.mock.calls) kept.push({ group, name })
    spy.mockRestore()

    // The control: with the service's own secret, what is sealed of the subject is found in Redis.
    const thief = SharedCache.open({ url: redis.url, secret: pepper, log: a.app.log })
    await eventually('Redis answers the thief', () => thief.isUp)
    const superuser = new Client({ connectionString: world.databases.superuserUrl(world.databases.regions.EU.name) })
    await superuser.connect()
    const blobs = await superuser.query<{ blob: string }>(
      `select encode(unnest(array[identity_blob, content_blob]), 'hex') as blob from event where sequence >=
         (select sequence from event where id = $1) and company_id = $2`,
      [decodeRegionalId('event', own, 'id').uuid, world.acme.id],
    )
    const opened = async () => {
      const texts: string[] = []
      for (const { group, name } of kept) texts.push((await thief.read(group, name))?.toString('utf8') ?? '')
      return texts.join()
    }
    const before = await opened()
    expect(blobs.rows.filter(({ blob }) => blob !== null && before.includes(blob)).length).toBeGreaterThan(2)

    // And without it nothing, of the filter neither.
    const tagKey = await a.app.facts.tagKey(world.acme.id)
    const needles = [
      ...Object.entries(subject).flatMap(([name, text]) => needlesOf(name, text)),
      ...(['actor.id', 'actor.email', 'target.id'] as const).flatMap((kind) =>
        Object.values(subject).flatMap((text) => {
          const tag = equalityTag(tagKey, kind, text)
          return [
            { name: 'tag', bytes: tag },
            { name: 'tag in hex', bytes: Buffer.from(tag.toString('hex')) },
          ]
        }),
      ),
      ...blobs.rows.flatMap(({ blob }) => (blob === null ? [] : [{ name: 'blob', bytes: Buffer.from(blob, 'hex') }])),
    ]
    const set = new NeedleSet(needles)
    const hits = async () =>
      (await redis.dump()).flatMap(({ bytes }) => [...set.placesIn(bytes).keys()].map(({ name }) => name))
    expect(await hits()).toEqual([])

    const id = await approvedRequest(trio, {
      companyId: world.acme.gid,
      requestType: 'DELETE',
      actorId: subject.id,
      actorEmail: subject.email,
      reason: 'asked for',
    })
    redis.hang()
    expect(await eraseRequests(a.app.erasure, never)).toBe(0)
    expect(await readRequest(trio.staff, id)).toMatchObject({ status: 'PROCESSING' })
    // It is not shown meanwhile.
    expect((await pageOf(b, EU)).nodes.find((node) => node.id === own)?.actor ?? null).toBeNull()
    expect(await idsOf(b, EU, filter)).toEqual([])
    redis.resume()
    await stage.isReady()
    expect(await eraseRequests(a.app.erasure, never)).toBe(1)
    const done = await readRequest(trio.staff, id)
    expect(done.status).toBe('DONE')
    const pages = done.evidence.filter(({ store }: { store: string }) => store === 'cached pages')
    expect(pages.find(({ region }: { region: string }) => region === 'EU').records).toBeGreaterThan(1)

    // What is left says how the company and its workspaces are set up, of which the erasure has changed something.
    const facts = [
      ['company', world.acme.id],
      ['workspaces', world.acme.id],
      ...Object.values(world.acme.in).map(({ id: workspaceId }) => ['workspace', workspaceId] as const),
    ] as const
    const known = await Promise.all(facts.map(([kind, of]) => thief.read(`facts 1 ${kind} ${of}`, kind)))
    expect(await stage.values()).toBe(known.filter((value) => value !== null).length)
    expect(await opened()).toMatch(/^,*$/)
    expect(await hits()).toEqual([])
    for (const { app } of [a, b]) await eventually('memory is empty', () => app.firstPages.size === 0)
    // What other people did is still there, without the mention.
    const shown = (await pageOf(b, EU)).nodes.find((node) => node.id === other)
    expect(shown).toMatchObject({ actor: { id: 'other' } })
    expect(JSON.stringify(shown)).not.toContain(subject.email)
    await thief.close()
    await superuser.end()
  })

  it('refuses what somebody began to write before it', async () => {
    const group = `test ${randomUUID()}`
    const [early, eraser] = [a.app.sharedCache!, b.app.sharedCache!]
    const keeps = async (fence: string): Promise<boolean> => {
      let refused = false
      early.write(group, 'name', Buffer.from('value'), fence, () => {
        refused = true
      })
      await eventually('it is decided', async () => refused || (await early.read(group, 'name')) !== null)
      return !refused
    }
    // Neither where nothing was there before, nor where something was.
    const unknown = early.fence(group)
    expect(await eraser.drop(group)).toBe(0)
    expect(await keeps(unknown)).toBe(false)
    expect(await keeps(early.fence(group))).toBe(true)
    const known = early.fence(group)
    expect(await eraser.drop(group)).toBe(1)
    expect(await keeps(known)).toBe(false)
    expect(await early.read(group, 'name')).toBeNull()
  })
})
