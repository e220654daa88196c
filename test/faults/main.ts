// npm run test:faults [-- --seed 42 --faults 200 --events 1000000]
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { createProgressBar } from '../../src/cli/progress-bar.js'
import { controlNames, controls, type ControlName } from './controls.js'
import { canMount } from './database-server.js'
import { findingsOf, slownessOf, tableOf, totalsOf } from './report.js'
import { runSuite, type SuiteOptions } from './run-suite.js'

const faultsDefault = 20
const eventsDefault = 20_000
const clientsDefault = 16
/** Says that this process has the mount namespace that it wants: its disks are gone with it, however it ends. */
const namespaceMark = 'HYRELOG_FAULTS_NAMESPACE'

interface Arguments {
  readonly seed?: string
  readonly faults?: number
  readonly events?: number
  readonly clients: number
  readonly control?: ControlName
  readonly report?: string
  readonly keep: boolean
  readonly latency: boolean
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number above 0.')
  return value
}

const program = new Command('npm run test:faults --')
  .description(
    `Runs the real service (two API processes, five PostgreSQL servers) under clients that write without a pause, breaks it
in every way there is, heals it, and holds what the clients were told against what is there.`,
  )
  .option('--seed <text>', 'repeats the schedule of a run (default: a new one)')
  .option('--faults <number>', `how many faults (default: ${faultsDefault})`, positive)
  .option('--events <number>', `how many acknowledged events at least (default: ${eventsDefault})`, positive)
  .option('--clients <number>', 'how many clients', positive, clientsDefault)
  .addOption(
    new Option('--control <name>', 'takes a safeguard away: the run must then fail').choices([...controlNames]),
  )
  .option('--report <file>', 'writes the result as JSON, too')
  .option('--keep', 'leaves the data directories and logs there', false)
  .option('--no-latency', 'does not judge how quickly the other regions answered: for a machine with other work')
  .addHelpText(
    'after',
    `
Exit code 0: nothing was lost, doubled or reordered, every chain verifies, and the other regions were served meanwhile.
1: something was not so. 2: the suite could not be carried out.

Filling a disk needs root and the right to mount (a small tmpfs for each region); elsewhere that fault is left out.

Controls:
${controlNames.map((name) => `  ${name}: ${controls[name].description}`).join('\n')}`,
  )

/** Runs this very command in a mount namespace of its own, and ends with it. */
function reenterInNamespace(): never {
  const env = { ...process.env, [namespaceMark]: '1' }
  const args = ['-m', process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const { status } = spawnSync('unshare', args, { stdio: 'inherit', env })
  process.exit(status ?? 2)
}

function optionsOf(args: Arguments): SuiteOptions {
  const control = args.control ?? null
  const needed = control === null ? undefined : controls[control]
  return {
    seed: args.seed ?? randomBytes(4).toString('hex'),
    faults: args.faults ?? needed?.faults ?? faultsDefault,
    events: args.events ?? needed?.events ?? eventsDefault,
    clients: args.clients,
    control,
    without: canMount() ? [] : ['fill-disk'],
    keep: args.keep,
  }
}

async function main(args: Arguments): Promise<number> {
  const options = optionsOf(args)
  say(`Seed ${options.seed}: ${options.faults} faults, at least ${options.events} events, ${options.clients} clients.`)
  if (options.without.length > 0)
    say(`Left out, as this machine does not let us mount a disk: ${options.without.join(', ')}.`)
  const bar = createProgressBar(process.stderr)
  const result = await runSuite(options, (label, done, total) => bar.update(label, done, total)).finally(() =>
    bar.stop(),
  )
  const slowness = slownessOf(result)
  const findings = [...findingsOf(result, options), ...(args.latency ? slowness : [])]
  say(tableOf(result, options))
  if (args.report !== undefined)
    writeFileSync(
      args.report,
      JSON.stringify({ seed: options.seed, totals: totalsOf(result), findings, slowness, ...result }, null, 2),
    )
  if (args.keep) say(`Everything is kept in ${result.folder}.`)
  if (findings.length === 0) {
    say('As it must be.')
    return 0
  }
  say(`\nNot as it must be (seed ${options.seed}):\n${findings.map((finding) => `  ${finding}`).join('\n')}`)
  if (options.control !== null && totalsOf(result)[controls[options.control].finds] > 0)
    say('\nThe control failed, as it has to.')
  return 1
}

program.parse()
if (process.env[namespaceMark] === undefined && canMount()) reenterInNamespace()
try {
  process.exitCode = await main(program.opts<Arguments>())
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = 2
}
