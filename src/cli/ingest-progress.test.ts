import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createProgress } from './ingest-progress.js'

/** A stream that says it is a terminal, or not, and keeps what was written to it. */
function streamOf(isTTY: boolean): { stream: NodeJS.WriteStream; written: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 })
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => text }
}

const tally = (recorded: number) => ({ read: recorded, recorded, queued: 0, replayed: 0, refused: 0 })

describe('createProgress', () => {
  test('draws a bar on a terminal, and takes it away at the end', () => {
    const { stream, written } = streamOf(true)
    const progress = createProgress(stream, 1000)
    progress.update(tally(250), 500)
    progress.line('a.json:3 refused: action: must not be blank.')
    progress.stop()
    expect(written()).toContain('█')
    expect(written()).toContain('a.json:3 refused: action: must not be blank.\n')
    expect(written()).toContain('\u001B[?25h')
  })

  test.each([
    ['no terminal', false, 1000],
    ['an input of unknown size', true, null],
  ])('writes plain lines to %s, one for ten thousand events', (_, isTTY, bytes) => {
    const { stream, written } = streamOf(isTTY)
    const progress = createProgress(stream, bytes)
    for (let recorded = 500; recorded <= 25_000; recorded += 500) progress.update(tally(recorded), 1)
    progress.line('b.json does not exist.')
    progress.stop()
    expect(written()).toBe('10000 events …\n20000 events …\nb.json does not exist.\n')
  })
})
