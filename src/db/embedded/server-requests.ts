import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * How another process asks the supervisor for something: files in the data directory. `<name>.stopped` is a wish that
 * lasts, over restarts of HyreLog too, until it is taken back; `<name>.start` asks for a start now, without the delay
 * that a server which died is given.
 */
const stoppedFile = (dataDir: string, name: string): string => join(dataDir, `${name}.stopped`)
const startFile = (dataDir: string, name: string): string => join(dataDir, `${name}.start`)

/** The folder of a server below the data directory, and how its files are called. */
export const serverFolder = (server: string): string => server.toLowerCase()

export const isStopWished = (dataDir: string, name: string): boolean => existsSync(stoppedFile(dataDir, name))

export function wishStop(dataDir: string, name: string): void {
  rmSync(startFile(dataDir, name), { force: true })
  writeFileSync(stoppedFile(dataDir, name), '')
}

export function wishStart(dataDir: string, name: string): void {
  rmSync(stoppedFile(dataDir, name), { force: true })
  writeFileSync(startFile(dataDir, name), '')
}

/** True once for each wish to start. */
export function takeStartWish(dataDir: string, name: string): boolean {
  const path = startFile(dataDir, name)
  if (!existsSync(path)) return false
  rmSync(path, { force: true })
  return true
}
