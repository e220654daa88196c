/** One measured figure, or one comparison of two. */
export interface Row {
  readonly what: string
  readonly figure: string
  readonly against?: string
  readonly ratio?: number
  readonly aim?: Aim
}

/** What a ratio should be; the sense is in the text. */
export interface Aim {
  readonly text: string
  readonly reached: boolean
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString('en')}/s`
export const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 2 : 1)} ms`

/** Higher is better. */
export const atLeast = (ratio: number, least: number): Aim => ({
  text: `≥ ${least}`,
  reached: ratio >= least,
})

/** Lower is better. */
export const atMost = (ratio: number, most: number): Aim => ({ text: `≤ ${most}`, reached: ratio <= most })

/** The rows under a heading, in aligned columns. */
export function tableOf(heading: string, rows: readonly Row[]): string {
  const cells = [
    ['', 'ours', 'against', 'ratio', 'aim', ''],
    ...rows.map((row) => [
      row.what,
      row.figure,
      row.against ?? '',
      row.ratio === undefined ? '' : row.ratio.toFixed(2),
      row.aim?.text ?? '',
      row.aim === undefined ? '' : row.aim.reached ? 'reached' : 'missed',
    ]),
  ]
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  const lines = cells.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return `\n${heading}\n${lines.join('\n')}\n`
}
