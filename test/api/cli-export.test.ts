import { PassThrough } from 'node:stream'
import { Command } from 'commander'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addExportCommand } from '../../src/cli/export-command.js'
import { createWorld, type World } from '../harness/app.js'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

async function exportWith(...words: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const outcome: { code?: number } = {}
  const env = { HYRELOG_ENDPOINT: world.url, HYRELOG_API_KEY: world.acme.in.EU.key }
  const cli = { stdin: process.stdin, stdout, stderr, env } as unknown as Parameters<typeof addExportCommand>[1]
  const program = new Command('hyrelog').exitOverride()
  addExportCommand(program, cli, (code) => {
    outcome.code = code
  })
  await program.parseAsync(['export', ...words], { from: 'user' })
  const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString('utf8') ?? ''
  return { code: outcome.code, out: text(stdout), err: text(stderr) }
}

test('hyrelog export writes the part of the chain that --scope names, that within its retention unless told', async () => {
  await world.record(world.acme.in.EU, [{ action: 'one.event', category: 'test' }])
  for (const words of [[], ['--scope', 'hot'], ['--scope', 'all']]) {
    const { code, out, err } = await exportWith('--format', 'csv', ...words)
    expect([code, err]).toEqual([0, expect.stringMatching(/^1 events, /)])
    expect(out).toContain('one.event')
  }
  expect(await exportWith('--scope', 'archived')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringContaining('There is no event in this range') as string,
  })
})
