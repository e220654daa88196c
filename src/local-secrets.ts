import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Region } from './kernel/region.js'

/** The servers of the embedded default. */
export type LocalServer = 'control' | Region

export interface ServerPasswords {
  readonly superuser: string
  readonly owner: string
  readonly service: string
}

/** Keys and passwords of an installation that runs on its own, base64 each. */
export interface LocalSecrets {
  readonly controlMasterKey: string
  readonly regionMasterKeys: Readonly<Record<Region, string>>
  readonly apiKeyPepper: string
  readonly internalToken: string
  readonly passwords: Readonly<Record<LocalServer, ServerPasswords>>
}

/** The secrets can't be read, or are not those of the data beside them. */
export class LocalSecretsError extends Error {
  override readonly name = 'LocalSecretsError'
}

const fileName = 'secrets.json'
const secretBytes = 32

const passwordsSchema = z.object({ superuser: z.string(), owner: z.string(), service: z.string() })
const secretsSchema = z.object({
  controlMasterKey: z.string(),
  regionMasterKeys: z.object({ AU: z.string(), US: z.string(), EU: z.string(), APAC: z.string() }),
  apiKeyPepper: z.string(),
  internalToken: z.string(),
  passwords: z.object({
    control: passwordsSchema,
    AU: passwordsSchema,
    US: passwordsSchema,
    EU: passwordsSchema,
    APAC: passwordsSchema,
  }),
})

const key = (): string => randomBytes(secretBytes).toString('base64')
const password = (): string => randomBytes(secretBytes).toString('base64url')

function makeSecrets(): LocalSecrets {
  const passwords = (): ServerPasswords => ({ superuser: password(), owner: password(), service: password() })
  return {
    controlMasterKey: key(),
    regionMasterKeys: { AU: key(), US: key(), EU: key(), APAC: key() },
    apiKeyPepper: key(),
    internalToken: password(),
    passwords: { control: passwords(), AU: passwords(), US: passwords(), EU: passwords(), APAC: passwords() },
  }
}

async function read(path: string): Promise<LocalSecrets | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new LocalSecretsError(`${path} can't be read (${code}).`)
  }
  const parsed = secretsSchema.safeParse(parseJson(text))
  if (!parsed.success) throw new LocalSecretsError(`${path} is damaged.`)
  return parsed.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Without these keys the data is lost: they are on disk before anything is sealed with them.
async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/**
 * The secrets in `DATA_DIR/secrets.json`, readable by us alone; made when there is neither the file nor data. Throws
 * {@link LocalSecretsError} where data is there without them: new ones would open none of it.
 */
export async function readOrMakeLocalSecrets(dataDir: string): Promise<LocalSecrets> {
  const path = join(dataDir, fileName)
  const present = await read(path)
  if (present !== undefined) return present
  if (existsSync(join(dataDir, 'control')))
    throw new LocalSecretsError(
      `${dataDir} holds data, but its ${fileName} is missing: put it back, or choose another folder.`,
    )
  try {
    // Others may pass through, not look: as root, the servers run as somebody else.
    await mkdir(dataDir, { recursive: true, mode: 0o711 })
  } catch (error) {
    throw new LocalSecretsError(`${dataDir} can't be made (${(error as NodeJS.ErrnoException).code}).`)
  }
  const draft = `${path}.${randomBytes(8).toString('hex')}.tmp`
  try {
    await writeSynced(draft, `${JSON.stringify(makeSecrets(), null, 2)}\n`)
    // link(), unlike rename(), never replaces what another start has made meanwhile.
    await link(draft, path)
    await syncFolder(dataDir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new LocalSecretsError(`${path} can't be written (${code}).`)
  } finally {
    await rm(draft, { force: true })
  }
  const made = await read(path)
  if (made === undefined) throw new LocalSecretsError(`${path} disappeared.`)
  return made
}
