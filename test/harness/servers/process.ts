import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { once } from 'node:events'
import { eventually } from '../eventually.js'

/** A server of somebody else's, on this machine, for the tests of one file. */
export interface RunningServer {
  readonly url: string
  stop(): Promise<void>
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

export const isInstalled = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** Starts a server that ends with this process, however that ends. */
export const startProcess = (command: string, args: readonly string[]): ChildProcess =>
  spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: 'ignore' })

/** Ends processes that this file started, and waits for them. */
export async function endProcesses(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

/** Waits until something answers HTTP at this address, whatever it says; fails at once where the process has ended. */
export async function answers(url: string, child: ChildProcess, what: string): Promise<void> {
  await eventually(
    `${what} answers`,
    async () => {
      if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`)
      return fetch(url).then(
        () => true,
        () => false,
      )
    },
    60_000,
  )
}

/**
 * Why tests against a server have to be left out here, or undefined where they can run. In CI nothing is left out: there
 * `.ci/run` has installed it.
 */
export function reasonToSkip(what: string, there: boolean, how: string): string | undefined {
  if (there) return undefined
  if (process.env['CI'] !== undefined) throw new Error(`${what} is not installed: ${how}`)
  return `${what} is not installed: ${how}`
}
