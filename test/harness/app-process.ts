import { type ChildProcess, spawn } from 'node:child_process'
import type { AppOptions } from '../../src/app.js'
import { compile } from './compiled.js'
import type { World } from './app.js'

// As testConfig in app.ts has it; keys can't be handed to a process but as bytes.
const script = `
import { createSecretKey } from 'node:crypto'
const { createApp } = await import(process.env.APP_MODULE)
const key = (fill) => createSecretKey(Buffer.alloc(32, fill))
const { config, ...options } = JSON.parse(process.env.APP_OPTIONS)
const app = await createApp({
  ...options,
  poolMax: 6,
  config: {
    ...config,
    controlMasterKey: key(1),
    regionMasterKeys: new Map(['AU', 'US', 'EU', 'APAC'].map((region, index) => [region, key(10 + index)])),
    apiKeyPepper: key(2),
    signingKeys: new Map(),
  },
})
process.stdout.write('ready ' + (await app.listen()) + '\\n')
`

/** Another process of the world's service, which can really be killed. */
export interface AppProcess {
  readonly url: string
  kill(): Promise<void>
}

/** Compiles the service once for all processes of a test file. */
export function makeAppProcesses(
  world: World,
  more: Pick<AppOptions, 'failover' | 'homeLeaseTimes'> = {},
): { start(): Promise<AppProcess>; remove(): void } {
  const compiled = compile('app.ts')
  const options = {
    controlUrl: world.databases.control.databaseUrl,
    exportLeaseMs: 1_000,
    ...more,
    config: {
      host: '127.0.0.1',
      port: 0,
      logLevel: 'silent',
      introspection: true,
      graphiql: false,
      trustedProxies: [],
      allowedOrigins: [],
      requireStaffTotp: false,
      regionDeadlineMs: 5000,
      bodyLimitBytes: 16 * 1024 * 1024,
      autoFailover: false,
      logName: 'test.local',
      keyVaultDir: world.keyVaultDir,
      exportsDir: `${world.keyVaultDir}/exports`,
    },
  }
  return {
    async start() {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        env: { ...process.env, APP_MODULE: compiled.url, APP_OPTIONS: JSON.stringify(options) },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      return { url: await addressOf(child), kill: () => kill(child) }
    },
    remove: compiled.remove,
  }
}

const addressOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let said = ''
    child.once('exit', () => reject(new Error('the service did not start')))
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const match = /^ready (\S+)$/m.exec(said)
      if (match !== null) resolve(`${match[1]!}/graphql`)
    })
  })

const kill = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
