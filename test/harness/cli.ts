import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { compile } from './compiled.js'

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly stdin?: string | Buffer
  readonly env?: Readonly<Record<string, string>>
}

/** The `hyrelog` command, each run a process of its own with nothing of our environment but the path. */
export interface Cli {
  readonly run: (args: readonly string[], options?: CliOptions) => Promise<CliResult>
  readonly remove: () => void
}

/** Compiles the command. */
export function makeCli(): Cli {
  const compiled = compile('cli/main.ts')
  const main = fileURLToPath(compiled.url)
  const run: Cli['run'] = (args, options = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [main, ...args], {
        env: { PATH: process.env['PATH'] ?? '', ...options.env },
        stdio: 'pipe',
      })
      let stdout = ''
      let stderr = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout, stderr }))
      // A command that ends before it has read everything closes the pipe.
      child.stdin.once('error', () => undefined)
      child.stdin.end(options.stdin ?? '')
    })
  return { run, remove: compiled.remove }
}
