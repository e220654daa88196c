import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answers, endProcesses, freePorts, reasonToSkip, type RunningServer } from './process.js'

const program = fileURLToPath(
  new URL('../../servers/azurite/node_modules/azurite/dist/src/blob/main.js', import.meta.url),
)

export const azuriteMissing = reasonToSkip('Azurite', existsSync(program), 'npm install --prefix test/servers/azurite')

export interface Azurite extends RunningServer {
  /** Of the only account there, by way of this address. */
  connectionString(url: string): string
}

/** Microsoft's emulator of Azure Storage, as far as blobs. */
export async function startAzurite(): Promise<Azurite> {
  const folder = await mkdtemp(join(tmpdir(), 'hyrelog-azurite-'))
  const account = 'hyrelog'
  const accountKey = randomBytes(32).toString('base64')
  const [port] = (await freePorts(1)) as [number]
  const options = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--inMemoryPersistence']
  const quiet = ['--silent', '--skipApiVersionCheck', '--disableTelemetry']
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, program, ...options, ...quiet], {
    stdio: 'ignore',
    cwd: folder,
    env: { ...process.env, AZURITE_ACCOUNTS: `${account}:${accountKey}` },
  })
  const stop = async (): Promise<void> => {
    await endProcesses([child])
    await rm(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}`
  try {
    await answers(url, child, 'Azurite')
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url,
    stop,
    connectionString: (at) =>
      `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};BlobEndpoint=${at.replace(/\/$/, '')}/${account};`,
  }
}
