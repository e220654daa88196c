import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A module of the product and what it imports, compiled afresh, for tests that need it in a process of its own. */
export function compile(module: string): { readonly url: string; readonly remove: () => void } {
  // Below the project, so that packages are found from there.
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'hyrelog-test-'))
  // mkdtemp makes it private; the process may be another user's.
  chmodSync(folder, 0o755)
  const project = join(folder, 'tsconfig.json')
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { rootDir: join(root, 'src'), outDir: folder, declaration: false, sourceMap: false },
      files: [join(root, 'src', module)],
      include: [],
    }),
  )
  const built = spawnSync('npx', ['tsc', '-p', project], { cwd: root, encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`${module} could not be compiled:\n${built.stdout}${built.stderr}`)
  return {
    url: pathToFileURL(join(folder, module.replace(/[.]ts$/, '.js'))).href,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
