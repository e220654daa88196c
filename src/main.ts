import 'reflect-metadata'
import { createApp, createLogger, type App } from './app.js'
import { ConfigError, loadConfig, type Config } from './config.js'
import { DataDirInUseError } from './db/embedded/data-dir-lock.js'
import { startDemo } from './start-demo.js'
import { regionProblems, startDatabases, type StartedDatabases } from './start-databases.js'

type Logger = ReturnType<typeof createLogger>

/** Serves until a signal comes: then what is under way is finished and everything is closed. A second signal ends it at once. */
async function serve(config: Config, log: Logger): Promise<void> {
  const databases = await startDatabases(config, log)
  const app = await startApp(config, databases, log).catch(async (error: unknown) => {
    await databases.stop()
    throw error
  })
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'HyreLog stops when what is under way is finished')
    process.once('SIGINT', () => process.exit(1))
    process.once('SIGTERM', () => process.exit(1))
    app
      .close()
      .then(() => databases.stop())
      .then(
        () => process.exit(0),
        (err: unknown) => {
          log.fatal({ err }, 'HyreLog did not stop cleanly')
          process.exit(1)
        },
      )
  }
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      if (!stopping) stop(signal)
      stopping = true
    })
}

async function startApp(config: Config, databases: StartedDatabases, log: Logger): Promise<App> {
  // Servers of our own serve this process alone: the data directory is locked.
  const isAlone = config.databases.mode === 'embedded'
  const app = await createApp({ config, ...databases, log, isAlone })
  try {
    const schedules = app.scheduler.problems.map((message) => ({ name: 'JOB_SCHEDULES', message }))
    const problems = [...regionProblems(config, app.registry), ...schedules]
    if (problems.length > 0) throw new ConfigError(problems)
    const url = await app.listen()
    await startDemo(app, config, `${url}/graphql`)
    log.info({ url: `${url}/graphql` }, 'HyreLog is ready')
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

/** What a person at a terminal needs to read, where there is such a thing. */
function explain(error: unknown): string | undefined {
  if (error instanceof ConfigError || error instanceof DataDirInUseError) return error.message
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  return code === 'EADDRINUSE' ? `Port ${port} is taken by another program. Set PORT to another one.` : undefined
}

try {
  const config = await loadConfig()
  await serve(config, createLogger(config.logLevel))
} catch (error) {
  const explanation = explain(error)
  if (explanation === undefined) createLogger('fatal').fatal({ err: error }, 'HyreLog could not start')
  else process.stderr.write(`${explanation}\n`)
  process.exit(1)
}
