import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../../src/db/log.js'
import type { ServerSecrets } from '../../src/db/embedded/embedded-server.js'

/** A folder of a test's own that others may pass through, as a data directory must allow when we are root. */
export async function makeDataFolder(): Promise<{ path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'hyrelog-data-'))
  await chmod(path, 0o711)
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Passwords for an embedded server. */
export function makePasswords(): ServerSecrets {
  const password = (): string => randomBytes(12).toString('hex')
  return { superuser: password(), owner: password(), service: password() }
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly facts: Record<string, unknown>
  readonly message: string
}

/** A log that keeps what it is told. */
export function makeLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: LogLine['level']) =>
    (facts: unknown, message?: string): void => {
      lines.push({ level, facts: facts as Record<string, unknown>, message: message ?? '' })
    }
  return { log: { info: at('info'), warn: at('warn'), error: at('error') }, lines }
}
