import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Argument, InvalidArgumentError, type Command } from 'commander'
import { ConfigError, dataDirOf } from '../config.js'
import { holderOf } from '../db/embedded/data-dir-lock.js'
import { runningPostmaster } from '../db/embedded/postmaster-pid.js'
import { isStopWished, serverFolder, wishStart, wishStop } from '../db/embedded/server-requests.js'
import { systemActor } from '../admin-log/admin-entry.js'
import { failOver, recoverRegion } from '../failover/fail-over.js'
import { DomainError } from '../kernel/domain-error.js'
import { isRegion, regions, type Region } from '../kernel/region.js'
import { AdminRefusal } from './admin-refusal.js'
import { coldStorageOf, listRegions, postgresUrlOf, setRegion, type RegionChange } from './admin-region-table.js'
import { withAdminSession } from './admin-session.js'
import { exitCodes, type CliProcess, type ExitCode } from './ingest-command.js'

type AdminProcess = Pick<CliProcess, 'stdout' | 'stderr' | 'env'>

const answerTimeoutMs = 60_000
const pollMs = 100

function regionOf(text: string): Region {
  const code = text.toUpperCase()
  if (isRegion(code)) return code
  throw new InvalidArgumentError(`There are ${regions.join(', ')}.`)
}

async function until(done: () => boolean, refusal: string): Promise<void> {
  const deadline = Date.now() + answerTimeoutMs
  while (!done()) {
    if (Date.now() > deadline) throw new AdminRefusal(refusal)
    await wait(pollMs)
  }
}

const readyPostmaster = (dataDir: string, folder: string): boolean =>
  runningPostmaster(join(dataDir, folder))?.ready === true

function requireRunning(dataDir: string): void {
  if (holderOf(dataDir) === undefined)
    throw new AdminRefusal(
      `HyreLog is not running on ${dataDir}. Start it, or name its folder with DATA_DIR. (Servers of your own are stopped and started with their own tools.)`,
    )
}

async function stopRegion(region: Region, cli: AdminProcess): Promise<void> {
  const dataDir = dataDirOf(cli.env)
  const folder = serverFolder(region)
  requireRunning(dataDir)
  if (isStopWished(dataDir, folder) && runningPostmaster(join(dataDir, folder)) === undefined) {
    cli.stdout.write(`${region} is stopped already.\n`)
    return
  }
  wishStop(dataDir, folder)
  await until(
    () => runningPostmaster(join(dataDir, folder)) === undefined,
    `${region} did not stop; see ${join(dataDir, 'log', `${folder}.log`)}.`,
  )
  cli.stdout.write(`${region} is stopped. It stays so until: hyrelog admin region start ${region}\n`)
}

async function startRegion(region: Region, cli: AdminProcess): Promise<void> {
  const dataDir = dataDirOf(cli.env)
  const folder = serverFolder(region)
  requireRunning(dataDir)
  if (!isStopWished(dataDir, folder) && readyPostmaster(dataDir, folder)) {
    cli.stdout.write(`${region} is running already.\n`)
    return
  }
  const started = (): boolean => {
    if (readyPostmaster(dataDir, folder)) return true
    // Wished again and again: a wish is dropped while the death of the server has not been noticed yet.
    wishStart(dataDir, folder)
    return false
  }
  await until(started, `${region} did not start; see ${join(dataDir, 'log', `${folder}.log`)}.`)
  cli.stdout.write(`${region} is running.\n`)
}

async function setFailover(region: Region, reason: string, how: typeof failOver, cli: AdminProcess): Promise<void> {
  const mode = await withAdminSession(cli.env, (session) => how(session, { region, reason, actor: systemActor })).catch(
    (error: unknown) => {
      if (error instanceof DomainError)
        throw new AdminRefusal(
          error.message,
          error.code === 'REGION_UNAVAILABLE' ? exitCodes.stopped : exitCodes.refused,
        )
      throw error
    },
  )
  cli.stdout.write(
    mode.failedOverAt !== null
      ? `${region} is failed over: its events are queued and it is not asked, until: hyrelog admin region recover ${region}\n`
      : `${region} is not failed over. What waits for it is brought home as soon as it answers.\n`,
  )
}

/** Runs an action; what it refuses goes to standard error, and the exit code says so. */
async function attempt(
  cli: AdminProcess,
  onExit: (code: ExitCode) => void,
  action: () => Promise<void>,
): Promise<void> {
  try {
    await action()
    onExit(exitCodes.done)
  } catch (error) {
    if (!(error instanceof AdminRefusal) && !(error instanceof ConfigError)) throw error
    cli.stderr.write(`${error.message}\n`)
    onExit(error instanceof AdminRefusal ? error.exitCode : exitCodes.refused)
  }
}

const regionArgument = (): Argument => new Argument('<region>', regions.join(', ')).argParser(regionOf)

const setHelp = `
What is not named stays as it is. The databases are tried and migrated before anything is written; running processes use
the new settings within seconds. URLs hold passwords: better than on the command line, where other users of the machine
can read them, put them in the environment (REGION_EU_DATABASE_URL and so on) and say --from-environment.

The environment must be that of the service: CONTROL_DATABASE_URL and its companions.`

/** Adds `admin region stop|start|list|failover|recover|set` to the program; each action hands its exit code to `onExit`. */
export function addAdminRegionCommands(program: Command, cli: AdminProcess, onExit: (code: ExitCode) => void): void {
  const region = program
    .command('admin')
    .description('Administers an installation.')
    .command('region')
    .description('Stops, starts, lists, fails over and sets the databases of regions.')
  region
    .command('stop')
    .description('Stops the embedded PostgreSQL server of a region. It stays stopped until it is started.')
    .addArgument(regionArgument())
    .action((code: Region) => attempt(cli, onExit, () => stopRegion(code, cli)))
  region
    .command('start')
    .description('Starts the embedded PostgreSQL server of a region.')
    .addArgument(regionArgument())
    .action((code: Region) => attempt(cli, onExit, () => startRegion(code, cli)))
  region
    .command('list')
    .description('Lists the regions, where they are, and whether they answer.')
    .action(() => attempt(cli, onExit, () => listRegions(cli)))
  for (const [name, how, description] of [
    ['failover', failOver, "Sends a region's events to the queue and has it asked nothing, until it is recovered."],
    ['recover', recoverRegion, 'Ends the failover of a region: what waits for it is brought home.'],
  ] as const)
    region
      .command(name)
      .description(description)
      .addArgument(regionArgument())
      .requiredOption('--reason <text>', 'why; kept in the admin log for ever, without addresses')
      .action((code: Region, { reason }: { reason: string }) =>
        attempt(cli, onExit, () => setFailover(code, reason, how, cli)),
      )
  region
    .command('set')
    .description('Adds a region on servers of your own, or changes one.')
    .addArgument(regionArgument())
    .option('--database-url <url>', 'logs in as the role of the service', postgresUrlOf)
    .option('--owner-url <url>', 'logs in as the owner of the tables', postgresUrlOf)
    .option(
      '--read-only-url <url>',
      'a replica for exports, verification, and while the primary is down',
      postgresUrlOf,
    )
    .option('--no-read-only', 'without a replica from now on')
    .option('--cold-storage <place>', 'local:/folder, aws:bucket, azure:container or gcp:bucket', coldStorageOf)
    .option('--from-environment', 'take what is not named here from REGION_<CODE>_…')
    .addHelpText('after', setHelp)
    .action((code: Region, change: RegionChange) => attempt(cli, onExit, () => setRegion(code, change, cli)))
}
