import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Runs PostgreSQL's programs as somebody they accept: they refuse to run as root. */
export interface Identity {
  readonly kind: 'self' | 'user' | 'namespace'
  /** Gives a file or folder of ours to that somebody. */
  own(path: string): Promise<void>
  /** `endsWithUs`: the system interrupts the program when this process is gone, however it went. */
  spawn(program: string, args: readonly string[], options: { stdio: StdioOptions; endsWithUs: boolean }): ChildProcess
}

// `nobody` of every Linux; a user of our own would have to be made, and a `postgres` user exists only where one installed it.
const nobody = 65_534
const searchedFolders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']

const findProgram = (name: string): string | undefined =>
  searchedFolders.map((folder) => join(folder, name)).find((path) => existsSync(path))

let parentDeathSignal: readonly string[] | undefined

/** The command that has a program interrupted when its parent dies, or nothing where util-linux has no such option. */
function parentDeathPrefix(): readonly string[] {
  if (parentDeathSignal === undefined) {
    const setpriv = findProgram('setpriv')
    const works =
      setpriv !== undefined &&
      spawnSync(setpriv, ['--pdeathsig', 'INT', '/bin/sh', '-c', ':'], { stdio: 'ignore' }).status === 0
    parentDeathSignal = works ? [setpriv, '--pdeathsig', 'INT'] : []
  }
  return parentDeathSignal
}

// Only what PostgreSQL needs: our own environment holds keys.
const environment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

function launch(
  prefix: readonly string[],
  program: string,
  args: readonly string[],
  options: { stdio: StdioOptions; endsWithUs: boolean; uid?: number; gid?: number },
): ChildProcess {
  const command = [...prefix, ...(options.endsWithUs ? parentDeathPrefix() : []), program, ...args]
  const user = options.uid === undefined || options.gid === undefined ? {} : { uid: options.uid, gid: options.gid }
  return spawn(command[0]!, command.slice(1), {
    stdio: options.stdio,
    env: environment,
    // A session of its own: Ctrl+C in the terminal must reach us alone, so that commits in flight are finished first.
    detached: true,
    ...user,
  })
}

async function canReach(path: string, uid: number, gid: number): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    const facts = await stat(folder)
    const bit = facts.uid === uid ? 0o100 : facts.gid === gid ? 0o010 : 0o001
    if ((facts.mode & bit) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

function namespaceIdentity(unreachable: string): Identity {
  const unshare = findProgram('unshare')
  const prefix = unshare === undefined ? [] : [unshare, '-U', `--map-user=${nobody}`, `--map-group=${nobody}`]
  const works =
    unshare !== undefined &&
    spawnSync(unshare, [...prefix.slice(1), '/bin/sh', '-c', ':'], { stdio: 'ignore' }).status === 0
  if (!works)
    throw new Error(
      `PostgreSQL does not run as root, and no other user can reach ${unreachable}. ` +
        'Start HyreLog as an ordinary user, or keep it and its DATA_DIR in a folder that others may enter (chmod o+x).',
    )
  return {
    kind: 'namespace',
    // Inside, root's files are nobody's: nothing changes hands.
    own: async () => undefined,
    spawn: (program, args, options) => launch(prefix, program, args, options),
  }
}

const userIdentity = (uid: number, gid: number): Identity => ({
  kind: 'user',
  own: (path) => chown(path, uid, gid),
  spawn: (program, args, options) => launch([], program, args, { ...options, uid, gid }),
})

/**
 * Who runs the server of `directory` (whose parent exists): ourselves where we are not root; else the owner of a
 * directory that is there already, else `nobody`; and where that user can't reach program or data, for example below
 * /root, root's own files seen from a user namespace in which root is `nobody`. Throws where none of it works.
 */
export async function chooseIdentity(directory: string, program: string): Promise<Identity> {
  if (process.getuid?.() !== 0)
    return {
      kind: 'self',
      own: async () => undefined,
      spawn: (path, args, options) => launch([], path, args, options),
    }
  let uid = nobody
  let gid = nobody
  if (existsSync(directory)) {
    const owner = await stat(directory)
    if (owner.uid === 0) return namespaceIdentity(directory)
    uid = owner.uid
    gid = owner.gid
  }
  for (const path of [program, dirname(directory)])
    if (!(await canReach(path, uid, gid))) return namespaceIdentity(path)
  return userIdentity(uid, gid)
}
