/** What a command answers: one thing, or a list; each thing a row of named values. */
export type AdminAnswer = AdminRow | readonly AdminRow[]
export type AdminRow = Readonly<Record<string, string | number | boolean | null | readonly string[]>>

/** The answer for people (a table, or a line per value), or as JSON for programs. Ends with a line break. */
export function formatAnswer(answer: AdminAnswer, json: boolean): string {
  if (json) return `${JSON.stringify(answer, null, 2)}\n`
  if (isList(answer)) return answer.length === 0 ? 'None.\n' : table(answer)
  const width = Math.max(...Object.keys(answer).map((name) => name.length))
  return Object.entries(answer)
    .map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}\n`)
    .join('')
}

const isList = (answer: AdminAnswer): answer is readonly AdminRow[] => Array.isArray(answer)

function table(rows: readonly AdminRow[]): string {
  const names = Object.keys(rows[0]!)
  const lines = [names, ...rows.map((row) => names.map((name) => cell(row[name] ?? null)))]
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map(
      (line) =>
        `${line
          .map((text, i) => text.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

function cell(value: AdminRow[string]): string {
  if (value === null) return '-'
  if (typeof value === 'object') return value.length === 0 ? '-' : value.join(',')
  // Names come from people, and a terminal obeys control characters.
  return String(value).replace(/\p{Cc}/gu, ' ')
}
