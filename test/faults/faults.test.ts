import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlNames, controls } from './controls.js'
import type { SuiteResult } from './run-suite.js'
import type { Totals } from './report.js'

type Report = SuiteResult & { readonly seed: string; readonly totals: Totals; readonly findings: readonly string[] }

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyrelog-faults-report-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the suite as anybody would. What it prints, the seed above all, goes where the test's output goes. */
async function runFaults(...args: readonly string[]): Promise<{ exitCode: number | null; report: Report }> {
  const file = join(folder, 'report.json')
  rmSync(file, { force: true })
  const child = spawn('npm', ['run', '--silent', 'test:faults', '--', '--no-latency', '--report', file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.on('data', (text: Buffer) => void process.stdout.write(text))
  child.stderr.on('data', (text: Buffer) => void process.stderr.write(text))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { exitCode, report: JSON.parse(readFileSync(file, 'utf8')) as Report }
}

describe('the service, broken in every way there is', () => {
  it('keeps each of 20 000 acknowledged events once and in order over 20 faults, and serves the other regions meanwhile', async () => {
    const { exitCode, report } = await runFaults('--faults', '20', '--events', '20000')
    expect(report.findings).toEqual([])
    expect(exitCode).toBe(0)
    expect(report.totals).toMatchObject({ faults: 20, lost: 0, doubled: 0, reordered: 0, invented: 0 })
    expect(report.totals.acknowledged).toBeGreaterThanOrEqual(20_000)
  })

  // Without these the run above could not fail, and would say nothing.
  it.each(controlNames)('is found out with %s', async (name) => {
    const { exitCode, report } = await runFaults('--control', name)
    expect(exitCode).toBe(1)
    expect(report.totals[controls[name].finds]).toBeGreaterThan(0)
  })
})
