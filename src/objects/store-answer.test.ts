import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { ObjectStoreUnavailableError } from './object-errors.js'
import { causeOf, readThrough, unavailable, withDeadline } from './store-answer.js'

const silent = (): Readable => new Readable({ read: () => undefined })
const failureOf = (error: unknown): unknown =>
  unavailable({ name: (error as Error).name, status: undefined, requestId: undefined })

describe('waiting for a store', () => {
  it('gives a download up that brings nothing more, and closes its connection', async () => {
    const body = silent()
    body.push('first')
    const read = readThrough(body, failureOf, 20)
    expect((await read.next()).value.toString()).toBe('first')
    await expect(read.next()).rejects.toMatchObject({ reason: 'TimeoutError' })
    expect(body.destroyed).toBe(true)
  })

  it('closes the connection where the reader leaves early', async () => {
    const body = Readable.from([Buffer.from('a'), Buffer.from('b')])
    for await (const chunk of readThrough(body, failureOf)) {
      expect(chunk.length).toBe(1)
      break
    }
    expect(body.destroyed).toBe(true)
  })

  it('gives a request up that never ends, and tells the client', async () => {
    let signal: AbortSignal | undefined
    const never = withDeadline(10, (given) => {
      signal = given
      return new Promise(() => undefined)
    })
    await expect(never).rejects.toThrow(ObjectStoreUnavailableError)
    expect(signal?.aborted).toBe(true)
  })
})

describe('the cause of a failure', () => {
  it('has the vendor’s word and id and nothing else', () => {
    const { message } = causeOf({ name: 'AccessDenied', status: 403, requestId: 'https://secret@host/' })
    expect(message).toBe('AccessDenied (HTTP 403)')
  })
})
