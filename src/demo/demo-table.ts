import type { DemoWorld } from './demo-files.js'

/** The keys and passwords of the demo world as a text for a terminal, without a line break at its end. */
export function demoTable({ companies, staff }: DemoWorld): string {
  const keys = companies.flatMap(({ name, dataRegion, apiKey, readOnlyApiKey, workspaces }) => [
    [name, 'company', dataRegion, apiKey],
    ['', 'company, read-only', dataRegion, readOnlyApiKey],
    ...workspaces.map((workspace) => ['', `workspace ${workspace.slug}`, workspace.dataRegion, workspace.apiKey]),
  ])
  const users = [
    ...companies.flatMap(({ name, users: members }) =>
      members.map(({ email, password, role }, i) => [i === 0 ? name : '', role, email, password]),
    ),
    ...staff.map(({ email, password, staffRole }, i) => [i === 0 ? 'HyreLog staff' : '', staffRole, email, password]),
  ]
  return [
    ...aligned([['Company', 'Key of', 'Region', 'API key'], ...keys]),
    '',
    ...aligned([['Company', 'Role', 'E-mail', 'Password'], ...users]),
  ].join('\n')
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
