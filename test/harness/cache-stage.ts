import { expect } from 'vitest'
import type { App } from '../../src/app.js'
import { createWorld, sendGraphql, type World, type WorldWorkspace } from './app.js'
import { eventually } from './eventually.js'
import { TestRedis } from './redis.js'

/** A process of the service. */
export interface Process {
  readonly app: App
  readonly url: string
}

export interface ShownPage {
  readonly nodes: readonly { readonly id: string; readonly action: string; readonly actor: { id: string } | null }[]
}

export const firstPageQuery = `query ($filter: EventFilter) { workspaceEvents(filter: $filter, first: 10) {
  nodes { id action actor { id email } payload } } }`

/** The first page of a workspace's events as a process shows it. */
export async function pageOf(
  { url }: Process,
  workspace: WorldWorkspace,
  filter: Record<string, unknown> = {},
): Promise<ShownPage> {
  const answer = await sendGraphql(url, workspace.key, firstPageQuery, { filter })
  expect(answer.errors).toBeUndefined()
  return answer.data.workspaceEvents
}

export const idsOf = async (...args: Parameters<typeof pageOf>): Promise<string[]> =>
  (await pageOf(...args)).nodes.map(({ id }) => id)

/** Records one event; answers its id once that was acknowledged. */
export async function record(
  { url }: Process,
  workspace: WorldWorkspace,
  event: Record<string, unknown> = {},
): Promise<string> {
  const answer = await sendGraphql(
    url,
    workspace.key,
    'mutation ($input: IngestEventInput!) { ingestEvent(input: $input) { receipt { eventId } } }',
    { input: { action: 'door.opened', category: 'test', ...event } },
  )
  expect(answer.errors).toBeUndefined()
  return answer.data.ingestEvent.receipt.eventId
}

interface Counts {
  readonly memory: number
  readonly redis: number
  readonly misses: number
}

/** Where a process has had its first pages from so far. */
export const countsOf = ({ app }: Process): Counts => {
  const { hits, misses } = app.firstPages.figures
  return { ...hits, misses }
}

/** Where it had them from while the work was done. */
export async function counted(process: Process, work: () => Promise<unknown>): Promise<Counts> {
  const before = countsOf(process)
  await work()
  const after = countsOf(process)
  return {
    memory: after.memory - before.memory,
    redis: after.redis - before.redis,
    misses: after.misses - before.misses,
  }
}

/** The process uses Redis. */
export const isUp = (process: Process): Promise<true> =>
  eventually('Redis is in use', () => process.app.sharedCache!.isUp)

/** Two processes of the service that share a Redis of their own. */
export class CacheStage {
  readonly redis: TestRedis
  readonly world: World
  readonly a: Process
  readonly b: Process

  private constructor(redis: TestRedis, world: World, b: Process) {
    this.redis = redis
    this.world = world
    this.a = { app: world.app, url: world.url }
    this.b = b
  }

  static async open(): Promise<CacheStage> {
    const redis = await TestRedis.start()
    const config = { redisUrl: redis.url }
    const world = await createWorld({ config })
    const stage = new CacheStage(redis, world, await world.another({ config }))
    await stage.isReady()
    return stage
  }

  /** Both processes use Redis. */
  async isReady(): Promise<void> {
    await Promise.all([isUp(this.a), isUp(this.b)])
  }

  /** One more process, which remembers nothing yet; whoever starts it closes it. */
  async another(): Promise<Process> {
    const process = await this.world.another({ config: { redisUrl: this.redis.url } })
    await isUp(process)
    return process
  }

  /** Whatever was done to Redis: it is there again, empty, and in use. */
  async restart(): Promise<void> {
    this.redis.resume()
    await this.redis.kill()
    await this.redis.run()
    await this.isReady()
  }

  /** How many values are in Redis. */
  async values(): Promise<number> {
    const held = await this.redis.dump()
    return held.filter(({ where }) => where !== 'a key' && where !== 'a field' && where !== 'fence').length
  }

  /** Has a page in Redis, so that a process that never read it is shown it from there. */
  async shareVia(...asked: Parameters<typeof pageOf>): Promise<void> {
    const held = async () => JSON.stringify(await this.redis.dump())
    const before = await held()
    // Asked for again unchanged; and once more where Redis has forgotten what the process knew of it.
    await eventually('the page is in Redis', async () => {
      await pageOf(...asked)
      return (await held()) !== before
    })
  }

  async close(): Promise<void> {
    await this.b.app.close()
    await this.world.close()
    await this.redis.stop()
  }
}
