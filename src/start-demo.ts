import type { App } from './app.js'
import type { Config } from './config.js'
import { demoTable } from './demo/demo-table.js'
import { demoExists, seedDemo } from './demo/seed-demo.js'

/**
 * Makes the demo world where the settings ask for it and prints its keys and passwords, the first time only. A failure
 * (a region that is down) is logged and not fatal: the next start goes on where this one stopped.
 */
export async function startDemo(app: App, config: Config, endpoint: string): Promise<void> {
  if (!config.seedDemo || config.internalToken === undefined) return
  try {
    const isFirst = !(await demoExists(config.dataDir))
    if (isFirst) app.log.info('the demo world is being made; this takes a few seconds')
    const world = await seedDemo({
      control: app.control,
      secrets: app.secrets,
      pepper: config.apiKeyPepper,
      clock: app.clock,
      facts: app.facts,
      registry: app.registry,
      subjectKeys: app.subjectKeys,
      ingest: { facts: app.facts, committers: app.committers, clock: app.clock },
      dataDir: config.dataDir,
      endpoint,
      internalToken: config.internalToken,
    })
    if (isFirst) process.stdout.write(`${demoTable(world)}\n`)
  } catch (err) {
    app.log.error({ err }, 'the demo world could not be made to its end; the next start goes on')
  }
}
