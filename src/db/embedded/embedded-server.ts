import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'pg'
import { findBinaries, type PostgresBinaries } from './binaries.js'
import { chooseIdentity, type Identity } from './identity.js'
import { isAlive, lastPort, readPostmaster, runningPostmaster } from './postmaster-pid.js'

/** Passwords of the three roles of an embedded server. */
export interface ServerSecrets {
  readonly superuser: string
  readonly owner: string
  readonly service: string
}

export interface EmbeddedServerOptions {
  readonly name: string
  /** The data directory; made when it is missing. */
  readonly directory: string
  readonly secrets: ServerSecrets
  /** What the server has to say goes here (PostgreSQL's own log). */
  readonly logFile: string
  /** Insist on this port instead of looking for a free one. */
  readonly port?: number
  /** Settings on top of ours. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedServer {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** Fulfilled when the server is gone, however it went. */
  readonly exited: Promise<void>
  readonly running: () => boolean
  readonly url: (role: EmbeddedRole, database?: string) => string
  /** Ends it: at once for its clients, cleanly for its data. */
  readonly stop: () => Promise<void>
}

export type EmbeddedRole = keyof ServerSecrets

const roleNames: Readonly<Record<EmbeddedRole, string>> = {
  superuser: 'postgres',
  owner: 'hyrelog_owner',
  service: 'hyrelog_service',
}
const databaseName = 'hyrelog'
const readyFile = 'hyrelog.ready'
const startTimeoutMs = 60_000
const pollMs = 10
const stopGraceMs = 10_000
const logBytesMax = 10_000_000

// Five of these run on a laptop; what protects the data is written out although it is PostgreSQL's default.
const ourSettings: Readonly<Record<string, string>> = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  shared_buffers: '64MB',
  io_method: 'sync',
  max_worker_processes: '4',
  max_logical_replication_workers: '0',
  max_parallel_workers_per_gather: '0',
  autovacuum_max_workers: '2',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Our passwords are 256 random bits: stretching them would only slow down connecting.
  scram_iterations: '1',
  // A statement whose client has given up must not go on for nobody.
  client_connection_check_interval: '1s',
  // Statements and details quote what they are about: personal data that must not reach a log.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
}

/** A port nobody listens on: the wished one where it is free. */
async function freePort(wished: number | undefined): Promise<number> {
  const attempt = (port: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      const probe = createServer()
      probe.once('error', () => resolve(undefined))
      probe.listen(port, '127.0.0.1', () => {
        const address = probe.address()
        probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined))
      })
    })
  const port = (wished === undefined ? undefined : await attempt(wished)) ?? (await attempt(0))
  if (port === undefined) throw new Error('No free TCP port on 127.0.0.1.')
  return port
}

const lastLines = async (path: string): Promise<string> =>
  (await readFile(path, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n')

async function initialise(
  options: EmbeddedServerOptions,
  binaries: PostgresBinaries,
  identity: Identity,
): Promise<void> {
  // Made beside and renamed: a start that was interrupted leaves no half directory behind.
  const fresh = `${options.directory}.new`
  const passwordFile = `${options.directory}.pw`
  await rm(fresh, { recursive: true, force: true })
  await rm(passwordFile, { force: true })
  await mkdir(fresh, { mode: 0o700 })
  await writeFile(passwordFile, options.secrets.superuser, { mode: 0o600 })
  await identity.own(fresh)
  await identity.own(passwordFile)
  const args = ['-D', fresh, '-U', roleNames.superuser, '--pwfile', passwordFile, '--auth=scram-sha-256', '-E', 'UTF8']
  // The machine's locale must not decide how text is stored or sorted.
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions')
  if (options.settings?.['fsync'] === 'off') args.push('--no-sync')
  const log = await open(options.logFile, 'a', 0o600)
  try {
    const child = identity.spawn(binaries.initdb, args, { stdio: ['ignore', 'ignore', log.fd], endsWithUs: true })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', resolve)
    })
    if (code !== 0) throw new Error(`initdb of ${options.name} failed: ${await lastLines(options.logFile)}`)
  } finally {
    await log.close()
    await rm(passwordFile, { force: true })
  }
  await rename(fresh, options.directory)
}

/** Roles and database, once. Repeatable: a first start may be interrupted anywhere. */
async function furnish(
  options: EmbeddedServerOptions,
  url: (role: EmbeddedRole, database?: string) => string,
  identity: Identity,
): Promise<void> {
  const client = new Client({ connectionString: url('superuser', 'postgres') })
  await client.connect()
  try {
    for (const role of ['owner', 'service'] as const) {
      const name = roleNames[role]
      const { rowCount } = await client.query('select from pg_roles where rolname = $1', [name])
      if (rowCount === 0)
        await client.query(`create role ${name} login password ${client.escapeLiteral(options.secrets[role])}`)
    }
    const { rowCount } = await client.query('select from pg_database where datname = $1', [databaseName])
    if (rowCount === 0) await client.query(`create database ${databaseName} owner ${roleNames.owner}`)
  } finally {
    await client.end()
  }
  const marker = join(options.directory, readyFile)
  await writeFile(marker, '')
  await identity.own(marker)
}

/** Ends the server that a HyreLog which is gone left behind, and clears away what only looks like one. */
async function removeOrphan(directory: string): Promise<void> {
  const running = runningPostmaster(directory)
  if (running !== undefined) {
    await endProcess(running.pid)
    return
  }
  // PostgreSQL refuses to start while a process of that number exists, were it an editor.
  await rm(join(directory, 'postmaster.pid'), { force: true })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function goneWithin(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false
    await wait(pollMs)
  }
  return true
}

/** Fast shutdown (clients are thrown out, data is flushed), then harder and harder. */
async function endProcess(pid: number): Promise<void> {
  signal(pid, 'SIGINT')
  // A server that was stopped in its tracks hears nothing before it is continued.
  signal(pid, 'SIGCONT')
  if (await goneWithin(pid, stopGraceMs)) return
  signal(pid, 'SIGQUIT')
  if (await goneWithin(pid, stopGraceMs)) return
  signal(pid, 'SIGKILL')
  await goneWithin(pid, stopGraceMs)
}

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<void>
}

async function launch(
  options: EmbeddedServerOptions,
  program: string,
  identity: Identity,
  port: number,
): Promise<Running> {
  const settings = { ...ourSettings, ...options.settings, port: String(port) }
  const args = ['-D', options.directory]
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`)
  const log = await open(options.logFile, 'a', 0o600)
  try {
    if ((await log.stat()).size > logBytesMax) await log.truncate()
    const child = identity.spawn(program, args, { stdio: ['ignore', log.fd, log.fd], endsWithUs: true })
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    return { child, exited }
  } finally {
    await log.close()
  }
}

/** True when it accepts connections, false when it ended instead. */
async function becomesReady(directory: string, running: Running): Promise<boolean> {
  const deadline = Date.now() + startTimeoutMs
  let over = false
  void running.exited.then(() => {
    over = true
  })
  while (Date.now() < deadline) {
    if (over) return false
    const postmaster = readPostmaster(directory)
    if (postmaster?.pid === running.child.pid && postmaster?.ready === true) return true
    await wait(pollMs)
  }
  return false
}

/**
 * Starts a PostgreSQL server on a data directory, which is made and furnished (roles `hyrelog_owner` and
 * `hyrelog_service`, database `hyrelog`) when it is missing. It listens on 127.0.0.1 only, on the port of its last start
 * where that is free. A server left behind on the same directory is ended first. Throws where it can't be started, with
 * the last lines of its log.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const binaries = await findBinaries()
  await mkdir(dirname(options.directory), { recursive: true })
  await mkdir(dirname(options.logFile), { recursive: true })
  const identity = await chooseIdentity(options.directory, binaries.postgres)
  if (existsSync(options.directory)) await removeOrphan(options.directory)
  else await initialise(options, binaries, identity)
  const attempts = 5
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort(lastPort(options.directory)))
    const running = await launch(options, binaries.postgres, identity, port)
    if (await becomesReady(options.directory, running)) {
      const server = describe(options, running, port)
      if (!existsSync(join(options.directory, readyFile))) await furnish(options, server.url, identity)
      return server
    }
    if (running.child.pid !== undefined && isAlive(running.child.pid)) await endProcess(running.child.pid)
    // Somebody may have taken the port meanwhile, or backends of a killed server may still hold its memory.
    if (attempt === attempts)
      throw new Error(`PostgreSQL of ${options.name} did not start: ${await lastLines(options.logFile)}`)
    await wait(attempt * 200)
  }
}

function describe(options: EmbeddedServerOptions, running: Running, port: number): EmbeddedServer {
  const pid = running.child.pid!
  const isRunning = (): boolean => running.child.exitCode === null && running.child.signalCode === null
  return {
    name: options.name,
    port,
    pid,
    exited: running.exited,
    running: isRunning,
    url: (role, database = databaseName) =>
      `postgres://${roleNames[role]}:${encodeURIComponent(options.secrets[role])}@127.0.0.1:${port}/${database}`,
    stop: async () => {
      if (!isRunning()) return
      await endProcess(pid)
      await running.exited
    },
  }
}
