import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import type { Region } from '../kernel/region.js'
import type { DemoPlan } from './demo-plan.js'

const WORLD_FILE = 'demo.json'
const PLAN_FILE = 'demo-plan.json'

/** The demo world as `DATA_DIR/demo.json` holds it. Ids are those of the API. */
export interface DemoWorld {
  readonly endpoint: string
  readonly internalToken: string
  readonly staff: readonly { readonly email: string; readonly password: string; readonly staffRole: StaffRole }[]
  readonly companies: readonly DemoCompany[]
}

export interface DemoCompany {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly dataRegion: Region
  readonly replicateTo: readonly Region[]
  readonly apiKey: string
  readonly readOnlyApiKey: string
  readonly users: readonly { readonly email: string; readonly password: string; readonly role: CompanyRole }[]
  readonly workspaces: readonly DemoWorkspace[]
}

export interface DemoWorkspace {
  readonly id: string
  readonly slug: string
  readonly dataRegion: Region
  readonly apiKey: string
  readonly projects: readonly { readonly id: string; readonly slug: string }[]
}

/** The finished demo world, or null where it was never finished. */
export const readDemoWorld = (dataDir: string): Promise<DemoWorld | null> =>
  readJson<DemoWorld>(join(dataDir, WORLD_FILE))

/** The plan of a seeding that was cut short, or null. */
export const readDemoPlan = (dataDir: string): Promise<DemoPlan | null> => readJson<DemoPlan>(join(dataDir, PLAN_FILE))

/** Keeps the plan, on disk when this resolves: what it names may then be made. */
export const writeDemoPlan = (dataDir: string, plan: DemoPlan): Promise<void> =>
  writeJson(join(dataDir, PLAN_FILE), plan)

/** Writes the finished world; the plan has then served. */
export async function writeDemoWorld(dataDir: string, world: DemoWorld): Promise<void> {
  await writeJson(join(dataDir, WORLD_FILE), world)
  await rm(join(dataDir, PLAN_FILE), { force: true })
}

async function readJson<T>(path: string): Promise<T | null> {
  try {
    // Written by us alone, and whole or not at all.
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Whole or not at all, and for its owner alone: it holds keys and passwords. */
async function writeJson(path: string, value: unknown): Promise<void> {
  const draft = `${path}.tmp`
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
