import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ExportVerdict, verifyExport } from '../../src/sdk/index.js'
import { chromiumFlags, findChromium } from '../harness/browser.js'
import { compile } from '../harness/compiled.js'
import { ChainBuilder, LOG } from '../ledger/chain-builder.js'

/*
 * The verifier as an integrator's page has it: `hyrelog/sdk` as a package, bundled for browsers, run by a real one. Where
 * there is no Chromium this can't be shown: then the test is left out, but never in CI.
 */

const executablePath = findChromium()
const root = fileURLToPath(new URL('../../', import.meta.url))

test.runIf(process.env['CI'] === 'true')('there is a browser to test with', () => {
  expect(executablePath).not.toBeNull()
})

/** Makes the package as npm would install it, and a page that uses it; answers the page's script. */
async function bundle(folder: string): Promise<string> {
  const compiled = compile('sdk/index.ts')
  // What package.json puts in the place of crypto.ts is imported by nothing.
  const twin = compile('ledger/crypto-browser.ts')
  try {
    const own = join(folder, 'node_modules/hyrelog')
    await mkdir(own, { recursive: true })
    await cp(join(root, 'package.json'), join(own, 'package.json'))
    await cp(dirname(dirname(fileURLToPath(compiled.url))), join(own, 'dist'), { recursive: true })
    await cp(fileURLToPath(twin.url), join(own, 'dist/ledger/crypto-browser.js'))
  } finally {
    compiled.remove()
    twin.remove()
  }
  // A package of its own: within ours, `hyrelog` would be ours.
  await writeFile(join(folder, 'package.json'), '{ "name": "page", "private": true, "type": "module" }')
  await writeFile(
    join(folder, 'page.js'),
    `import { verifyExport } from 'hyrelog/sdk'
     window.verify = async (path, options) => verifyExport((await fetch(path)).body, options)`,
  )
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    build: { outDir: 'out', lib: { entry: join(folder, 'page.js'), formats: ['es'], fileName: 'page' } },
  })
  const [script] = (await readdir(join(folder, 'out'))).filter((name) => name.startsWith('page'))
  return readFile(join(folder, 'out', script!), 'utf8')
}

const chain = new ChainBuilder()
  .addMany(300)
  .erase([5, 250], (path) => path.startsWith('actor'))
  .addMany(20)
const keys = chain.publicKeys().map(({ name, publicKey }) => ({ name, ed25519: publicKey.toString('hex') }))
const whole = `${chain.export().join('\n')}\n`
const altered = new TextEncoder().encode(whole)
altered[40_000]! ^= 1

describe.skipIf(executablePath === null)('verifyExport in a browser', () => {
  let folder: string
  let server: Server
  let browser: Browser
  let page: Page
  const requested: string[] = []
  const files = new Map<string, string | Uint8Array<ArrayBuffer>>()

  beforeAll(async () => {
    await mkdir(join(root, 'node_modules/.cache'), { recursive: true })
    folder = await mkdtemp(join(root, 'node_modules/.cache/hyrelog-page-'))
    files.set('/', '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>')
    files.set('/page.js', await bundle(folder))
    files.set('/whole', whole)
    files.set('/altered', altered)
    files.set('/cut', whole.slice(0, 60_000))
    files.set('/part', `${(await chain.exportPart(200, 290)).join('\n')}\n`)
    server = createServer((request, response) => {
      const type = request.url === '/' ? 'text/html' : request.url === '/page.js' ? 'text/javascript' : 'text/plain'
      response
        .writeHead(files.has(request.url!) ? 200 : 404, { 'content-type': type })
        .end(files.get(request.url!) ?? '')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    browser = await chromium.launch({ executablePath: executablePath!, args: chromiumFlags })
    page = await browser.newPage()
    page.on('request', (request) => requested.push(new URL(request.url()).hostname))
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction('window.verify !== undefined')
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  const inBrowser = (path: string, options: object): Promise<ExportVerdict> =>
    page.evaluate(`window.verify(${JSON.stringify(path)}, ${JSON.stringify(options)})`)

  test.each([
    ['/whole', { keys, logName: LOG }, 'OK_WITH_ERASURES'],
    ['/whole', {}, 'OK_WITH_ERASURES'],
    ['/part', { keys }, 'OK_WITH_ERASURES'],
    ['/altered', { keys }, 'INVALID'],
    ['/cut', { keys }, 'INCOMPLETE'],
    ['/whole', { keys, logName: 'other.example' }, 'INVALID'],
    ['/whole', { keys: keys.map((key) => ({ ...key, ed25519: 'ab'.repeat(32) })) }, 'INVALID'],
  ])('of %s with %o says what it says here: %s', async (path, options, outcome) => {
    const verdict = await inBrowser(path, options)
    expect(verdict.outcome).toBe(outcome)
    const here = await verifyExport(new Blob([files.get(path)!]).stream(), options)
    expect(verdict).toEqual(here)
  })

  test('speaks to nobody', () => {
    expect(new Set(requested)).toEqual(new Set(['127.0.0.1']))
  })
})
