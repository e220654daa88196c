import { join } from 'node:path'
import type { World, WorldWorkspace } from './app.js'
import { eventually } from './eventually.js'

export interface ExportAnswer {
  readonly id: string
  readonly status: string
  readonly format: string
  readonly progress: { readonly exportedRows: number; readonly totalRows: number | null }
  readonly treeSize: number | null
  readonly rowCount: number | null
  readonly sizeBytes: number | null
  readonly sha256: string | null
  readonly downloadUrl: string | null
  readonly expiresAt: string | null
  readonly failure: string | null
  readonly workspace: { readonly id: string }
}

export const exportFields =
  'id status format progress { exportedRows totalRows } treeSize rowCount sizeBytes sha256 downloadUrl expiresAt failure workspace { id }'

export interface ExportRequest {
  readonly format?: 'NDJSON' | 'CSV'
  readonly from?: string
  readonly to?: string
  readonly scope?: string
}

/** Asks for an export with the workspace's key (or another one). */
export async function request(
  world: World,
  workspace: WorldWorkspace,
  { format = 'NDJSON', ...range }: ExportRequest = {},
  key = workspace.key,
): Promise<ExportAnswer> {
  const answer = await world.gql(
    key,
    `mutation ($input: RequestExportInput!) { requestExport(input: $input) { export { ${exportFields} } } }`,
    { input: { workspaceId: workspace.gid, format, ...range } },
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data.requestExport.export
}

export async function look(world: World, key: string | null, id: string): Promise<ExportAnswer | null> {
  const answer = await world.gql(key, `query ($id: ID!) { export(id: $id) { ${exportFields} } }`, { id })
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data.export
}

/** The export once it is over, done or not. */
export const settled = (world: World, key: string, id: string, timeoutMs = 20_000): Promise<ExportAnswer> =>
  eventually(
    `the export ${id}`,
    async () => {
      const found = await look(world, key, id)
      return found !== null && ['DONE', 'FAILED', 'EXPIRED'].includes(found.status) && found
    },
    timeoutMs,
  )

export const download = (world: World, url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(new URL(url, world.url), { headers })

/** Exports a workspace; answers the file's text and what the API says of it. */
export async function exported(
  world: World,
  workspace: WorldWorkspace,
  wanted: ExportRequest = {},
): Promise<{ text: string; about: ExportAnswer }> {
  const { id } = await request(world, workspace, wanted)
  const about = await settled(world, workspace.key, id)
  if (about.downloadUrl === null) throw new Error(`not done: ${about.failure}`)
  const response = await download(world, about.downloadUrl)
  if (response.status !== 200) throw new Error(await response.text())
  return { text: await response.text(), about }
}

export interface Line {
  readonly sequence: number
  readonly body: string
  readonly disclosures: { readonly path: string; readonly value: unknown }[]
  readonly proof?: string[]
  readonly checkpoint?: string
}

export const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

/** The folder in which the world's exports of a workspace lie. */
export const folderOf = (world: World, { dataRegion }: WorldWorkspace): string =>
  join(world.keyVaultDir, 'exports', dataRegion.toLowerCase())
