// A process: the service as dist/main.js runs it, but for one safeguard that no setting takes away.
import type * as AppModule from '../../src/app.js'
import type * as ConfigModule from '../../src/config.js'
import type * as DatabasesModule from '../../src/start-databases.js'

// What is served is what was built, whose migrations are found from there.
const built = (file: string): Promise<unknown> => import(new URL(`../../../dist/${file}`, import.meta.url).href)

await import('reflect-metadata')
const { createApp, createLogger } = (await built('app.js')) as typeof AppModule
const { loadConfig } = (await built('config.js')) as typeof ConfigModule
const { startDatabases } = (await built('start-databases.js')) as typeof DatabasesModule

const config = await loadConfig()
const log = createLogger(config.logLevel)
const databases = await startDatabases(config, log)
const app = await createApp({ config, ...databases, log, failover: { queueWhileNotEmpty: false } })
await app.listen()
