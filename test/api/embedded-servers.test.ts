import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { DataDirInUseError, holderOf } from '../../src/db/embedded/data-dir-lock.js'
import { startEmbeddedServer } from '../../src/db/embedded/embedded-server.js'
import { isAlive, readPostmaster } from '../../src/db/embedded/postmaster-pid.js'
import { wishStart, wishStop } from '../../src/db/embedded/server-requests.js'
import { Supervisor, type SupervisorOptions } from '../../src/db/embedded/supervisor.js'
import { Database } from '../../src/db/database.js'
import { compile } from '../harness/compiled.js'
import { makeDataFolder, makeLog, makePasswords, type LogLine } from '../harness/data-folder.js'
import { eventually } from '../harness/eventually.js'

const isRoot = process.getuid?.() === 0
const nobody = 65_534
/** Another user can run this project's files: it does not lie below a private folder. */
const isShared = isRoot && spawnSync('test', ['-x', process.execPath], { uid: nobody, gid: nobody }).status === 0
// Nothing here has to survive a power failure, and initdb is quicker without.
const quick = { fsync: 'off', shared_buffers: '16MB' }

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function makeFolder(): Promise<string> {
  const folder = await makeDataFolder()
  cleanUps.push(folder.remove)
  return folder.path
}

async function supervise(
  dataDir: string,
  passwords: SupervisorOptions['servers'],
  options: Partial<SupervisorOptions> = {},
): Promise<{ supervisor: Supervisor; lines: LogLine[] }> {
  const { log, lines } = makeLog()
  const supervisor = await Supervisor.start({ dataDir, servers: passwords, log, settings: quick, ...options })
  cleanUps.push(() => supervisor.stop())
  return { supervisor, lines }
}

/** Runs statements on a server, each on a connection of its own. */
async function ask(url: string | undefined, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const database = Database.open({ name: 'TEST', url: url! })
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = await database.query(statement)
    return rows
  } finally {
    await database.close(1_000)
  }
}

const two = () =>
  new Map([
    ['control', makePasswords()],
    ['EU', makePasswords()],
  ])

describe('a start', () => {
  it('makes each server a directory of its own and a service role that is nobody special; the next keeps everything', async () => {
    const dataDir = await makeFolder()
    const servers = two()
    const first = await supervise(dataDir, servers)
    for (const folder of ['control', 'eu']) expect(readPostmaster(join(dataDir, folder))).toMatchObject({ ready: true })
    expect(
      await ask(
        first.supervisor.url('EU', 'service'),
        `select current_user as who, rolsuper as super, current_setting('server_encoding') as encoding, upper('äö') as up
         from pg_roles where rolname = current_user`,
      ),
    ).toEqual([{ who: 'hyrelog_service', super: false, encoding: 'UTF8', up: 'ÄÖ' }])
    await ask(first.supervisor.url('EU', 'owner'), 'create table kept (id integer)', 'insert into kept values (42)')
    const url = first.supervisor.url('EU', 'owner')
    await first.supervisor.stop()
    expect(existsSync(join(dataDir, 'eu/postmaster.pid'))).toBe(false)

    const second = await supervise(dataDir, servers)
    expect(second.supervisor.url('EU', 'owner')).toBe(url)
    expect(await ask(url, 'select id from kept')).toEqual([{ id: 42 }])
  })

  it('protects data and asks for passwords unless told otherwise', async () => {
    const dataDir = await makeFolder()
    const passwords = makePasswords()
    const server = await startEmbeddedServer({
      name: 'EU',
      directory: join(dataDir, 'eu'),
      secrets: passwords,
      logFile: join(dataDir, 'eu.log'),
    })
    cleanUps.push(() => server.stop())
    expect(
      await ask(
        server.url('service'),
        `select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
                current_setting('synchronous_commit') as commits, current_setting('listen_addresses') as listens`,
      ),
    ).toEqual([{ fsync: 'on', pages: 'on', commits: 'on', listens: '127.0.0.1' }])
    const guessed = new URL(server.url('superuser', 'postgres'))
    guessed.password = 'wrong'
    await expect(ask(guessed.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  it('takes another port when its own is taken', async () => {
    const dataDir = await makeFolder()
    const secrets = makePasswords()
    const options = { name: 'EU', secrets, settings: quick, logFile: join(dataDir, 'eu.log') }
    const first = await startEmbeddedServer({ ...options, directory: join(dataDir, 'eu') })
    await first.stop()
    const thief = await startEmbeddedServer({ ...options, directory: join(dataDir, 'thief'), port: first.port })
    cleanUps.push(() => thief.stop())
    const second = await startEmbeddedServer({ ...options, directory: join(dataDir, 'eu') })
    cleanUps.push(() => second.stop())
    expect(second.port).not.toBe(first.port)
    expect(await ask(second.url('service'), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('goes on where a first start was interrupted', async () => {
    const dataDir = await makeFolder()
    await mkdir(join(dataDir, 'eu.new/base'), { recursive: true })
    await writeFile(join(dataDir, 'eu.new/PG_VERSION'), '18\n')
    const { supervisor } = await supervise(dataDir, new Map([['EU', makePasswords()]]))
    expect(await ask(supervisor.url('EU', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('does not write statements or values to the log', async () => {
    const dataDir = await makeFolder()
    const { supervisor } = await supervise(dataDir, new Map([['EU', makePasswords()]]))
    const url = supervisor.url('EU', 'owner')
    await ask(url, 'create table person (email text primary key)', `insert into person values ('jane@example.com')`)
    await expect(ask(url, `insert into person values ('jane@example.com')`)).rejects.toMatchObject({
      kind: 'unique_violation',
    })
    const log = await readFile(join(dataDir, 'log/eu.log'), 'utf8')
    expect(log).toContain('duplicate key')
    expect(log).not.toContain('jane')
  })
})

describe('a server that dies', () => {
  it('is started again after the delay, with its data and port', async () => {
    const dataDir = await makeFolder()
    const { supervisor, lines } = await supervise(dataDir, new Map([['EU', makePasswords()]]), { restartDelayMs: 700 })
    const url = supervisor.url('EU', 'owner')
    await ask(url, 'create table kept (id integer)', 'insert into kept values (42)')
    const { pid } = readPostmaster(join(dataDir, 'eu'))!
    process.kill(pid, 'SIGKILL')
    await eventually('the death is noticed', () => lines.some((line) => line.message.includes('died')))
    const noticedMs = Date.now()
    await eventually('it runs again', () => {
      const now = readPostmaster(join(dataDir, 'eu'))
      return now !== undefined && now.pid !== pid && now.ready
    })
    expect(Date.now() - noticedMs).toBeGreaterThanOrEqual(600)
    expect(supervisor.url('EU', 'owner')).toBe(url)
    expect(await ask(url, 'select id from kept')).toEqual([{ id: 42 }])
  })

  it('is started at once when somebody asks for it', async () => {
    const dataDir = await makeFolder()
    const { lines } = await supervise(dataDir, new Map([['EU', makePasswords()]]), { restartDelayMs: 600_000 })
    const { pid } = readPostmaster(join(dataDir, 'eu'))!
    process.kill(pid, 'SIGKILL')
    await eventually('the death is noticed', () => lines.some((line) => line.message.includes('died')))
    wishStart(dataDir, 'eu')
    const again = await eventually('it runs again', () => {
      const now = readPostmaster(join(dataDir, 'eu'))
      return now?.ready === true && now.pid !== pid && now
    })
    expect(isAlive(again.pid)).toBe(true)
  })
})

describe('a server that was asked to stop', () => {
  it('stops, stays down past the delay and the next start, and starts when asked', async () => {
    const dataDir = await makeFolder()
    const servers = two()
    const restarted: string[] = []
    const first = await supervise(dataDir, servers, { restartDelayMs: 50 })
    wishStop(dataDir, 'eu')
    await eventually('EU is down', () => !existsSync(join(dataDir, 'eu/postmaster.pid')))
    await eventually('it is said', () => first.lines.some((line) => line.message.includes('stopped, as asked for')))
    expect(await ask(first.supervisor.url('control', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
    await first.supervisor.stop()

    const second = await supervise(dataDir, servers, { onRestarted: (name) => restarted.push(name) })
    expect(existsSync(join(dataDir, 'eu/postmaster.pid'))).toBe(false)
    expect(second.supervisor.url('EU', 'service')).toBeUndefined()
    wishStart(dataDir, 'eu')
    await eventually('EU is up', () => restarted.includes('EU'))
    expect(await ask(second.supervisor.url('EU', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('what a crash leaves behind', () => {
  it('is ended at the next start: a server that still runs', async () => {
    const dataDir = await makeFolder()
    const secrets = makePasswords()
    const orphan = await startEmbeddedServer({
      name: 'EU',
      directory: join(dataDir, 'eu'),
      secrets,
      logFile: join(dataDir, 'eu.log'),
      settings: quick,
    })
    await ask(orphan.url('owner'), 'create table kept (id integer)', 'insert into kept values (42)')
    const { supervisor } = await supervise(dataDir, new Map([['EU', secrets]]))
    expect(orphan.running()).toBe(false)
    expect(await ask(supervisor.url('EU', 'owner'), 'select id from kept')).toEqual([{ id: 42 }])
  })

  it('is not mistaken for a server: a postmaster.pid whose number another process has', async () => {
    const dataDir = await makeFolder()
    const servers = new Map([['EU', makePasswords()]])
    const first = await supervise(dataDir, servers)
    await first.supervisor.stop()
    const stranger = spawn('sleep', ['60'], isRoot ? { uid: nobody, gid: nobody } : {})
    cleanUps.push(async () => stranger.kill('SIGKILL'))
    await writeFile(
      join(dataDir, 'eu/postmaster.pid'),
      `${stranger.pid}\n${join(dataDir, 'eu')}\n1\n5432\n\n127.0.0.1\n\nready   \n`,
    )
    if (isRoot) await chown(join(dataDir, 'eu/postmaster.pid'), nobody, nobody)
    const { supervisor } = await supervise(dataDir, servers)
    expect(await ask(supervisor.url('EU', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
    expect(isAlive(stranger.pid!)).toBe(true)
  })

  it('does not block: the lock of a process that is gone, or whose number another process has', async () => {
    const dataDir = await makeFolder()
    await writeFile(join(dataDir, 'hyrelog.pid'), '4194000\n123\n')
    const first = await supervise(dataDir, new Map())
    await first.supervisor.stop()
    await writeFile(join(dataDir, 'hyrelog.pid'), `${process.ppid}\n1\n`)
    await supervise(dataDir, new Map())
    expect(holderOf(dataDir)).toBe(process.pid)
  })
})

describe('a second HyreLog on the same data', () => {
  it('is refused, naming the process, and leaves the first alone', async () => {
    const dataDir = await makeFolder()
    const servers = new Map([['EU', makePasswords()]])
    const { supervisor } = await supervise(dataDir, servers)
    const second = Supervisor.start({ dataDir, servers, log: makeLog().log })
    await expect(second).rejects.toThrow(DataDirInUseError)
    await expect(second).rejects.toThrow(`process ${process.pid}`)
    expect(await ask(supervisor.url('EU', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('a hung server', () => {
  it('holds nobody beyond the deadline, and serves again when it wakes up', async () => {
    const dataDir = await makeFolder()
    const { supervisor } = await supervise(dataDir, new Map([['EU', makePasswords()]]))
    const database = Database.open({ name: 'EU', url: supervisor.url('EU', 'service')!, poolMax: 2 })
    cleanUps.push(() => database.close(100))
    const { pid } = readPostmaster(join(dataDir, 'eu'))!
    const read = (): Promise<unknown> =>
      database.transaction({ readOnly: true, timeoutMs: 300 }, (tx) => tx.query('select 1 as one'))
    await Promise.all([read(), read()])
    const backends = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/)
      .map(Number)
    for (const one of [pid, ...backends]) process.kill(one, 'SIGSTOP')
    const begunMs = performance.now()
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, read))
    expect(
      outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as { kind?: string }).kind),
    ).toEqual(Array.from({ length: 8 }, () => 'timeout'))
    expect(performance.now() - begunMs).toBeLessThan(1_500)
    for (const one of [pid, ...backends]) process.kill(one, 'SIGCONT')
    await eventually('it answers', () =>
      read().then(
        () => true,
        () => false,
      ),
    )
  })
})

describe('other people', () => {
  it.runIf(isRoot)('works for root in a folder that only root may enter', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hyrelog-private-'))
    cleanUps.push(() => rm(folder, { recursive: true, force: true }))
    await chmod(folder, 0o700)
    const servers = new Map([['EU', makePasswords()]])
    const first = await supervise(join(folder, 'data'), servers)
    expect((await stat(join(folder, 'data/eu'))).uid).toBe(0)
    await ask(first.supervisor.url('EU', 'owner'), 'create table kept (id integer)')
    await first.supervisor.stop()
    // Whoever could enter later, the files stay whose they are.
    await chmod(folder, 0o711)
    const second = await supervise(join(folder, 'data'), servers)
    expect(await ask(second.supervisor.url('EU', 'owner'), 'select * from kept')).toEqual([])
  })

  const script = (folder: string, module: string): string => `
    import { Supervisor } from ${JSON.stringify(module)}
    const quiet = () => undefined
    const passwords = { superuser: 'a', owner: 'b', service: 'c' }
    const supervisor = await Supervisor.start({ dataDir: ${JSON.stringify(folder)}, servers: new Map([['EU', passwords]]),
      log: { info: quiet, warn: quiet, error: quiet }, settings: ${JSON.stringify(quick)} })
    console.log(supervisor.url('EU', 'service'))
    process.on('SIGTERM', () => supervisor.stop().then(() => process.exit(0)))
    setInterval(quiet, 1000)`

  async function runElsewhere(folder: string, user?: number): Promise<{ child: ChildProcess; url: string }> {
    const module = compile('db/embedded/supervisor.ts')
    cleanUps.push(async () => module.remove())
    const child = spawn(process.execPath, ['--input-type=module', '-e', script(folder, module.url)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(user === undefined ? {} : { uid: user, gid: user }),
    })
    cleanUps.push(async () => child.kill('SIGKILL'))
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const url = await eventually('the other process is ready', () => /postgres:\S+/.exec(output)?.[0], 20_000)
    return { child, url }
  }

  it.runIf(isShared)('works for an ordinary user', async () => {
    const folder = await makeFolder()
    await chown(folder, nobody, nobody)
    const { child, url } = await runElsewhere(join(folder, 'data'), nobody)
    expect(await ask(url, 'select 1 as one')).toEqual([{ one: 1 }])
    child.kill('SIGTERM')
    await eventually('its server is gone', () => !existsSync(join(folder, 'data/eu/postmaster.pid')))
  })

  it('leaves no server running and the data usable when it is killed', async () => {
    const folder = await makeFolder()
    const { child, url } = await runElsewhere(folder)
    const { pid } = readPostmaster(join(folder, 'eu'))!
    await ask(url, 'select 1')
    child.kill('SIGKILL')
    await eventually('its server is gone', () => !isAlive(pid))
    const { supervisor } = await supervise(folder, new Map([['EU', { superuser: 'a', owner: 'b', service: 'c' }]]))
    expect(await ask(supervisor.url('EU', 'service'), 'select 1 as one')).toEqual([{ one: 1 }])
  })
})
