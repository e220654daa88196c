import { describe } from 'vitest'
import { S3ObjectStore, type S3StoreOptions } from '../../src/objects/s3/s3-store.js'
import { FakeBucket } from '../harness/servers/s3-fake-bucket.js'
import { S3Fake } from '../harness/servers/s3-fake.js'
import { settableClock } from '../harness/settable-clock.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const hourMs = 3_600_000
const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' }

async function begin(versioned: boolean): Promise<Subject> {
  const fake = await S3Fake.start()
  const clock = settableClock()
  fake.buckets.set('cold', new FakeBucket(clock, versioned))
  const at = (options: Partial<S3StoreOptions>): S3ObjectStore =>
    new S3ObjectStore({
      bucket: 'cold',
      endpoint: fake.url,
      credentials,
      clock,
      sizes: { partBytes: 2 * MIB, listPage: 3 },
      ...options,
    })
  return {
    store: at({}),
    clock,
    partBytes: 2 * MIB,
    finishRestores: async () => clock.advance(48 * hourMs),
    server: {
      url: fake.url,
      at: (endpoint) => at({ endpoint }),
      impatientAt: (endpoint) => at({ endpoint, patience: { silenceMs: 300, attemptsMax: 2 } }),
      missing: at({ bucket: 'nobody-made-this' }),
    },
    stop: () => fake.stop(),
  }
}

describe('S3 as documented', () => keepsItsPromises(() => begin(false)))
describe('S3 with versions', () => keepsItsPromises(() => begin(true), { streamsBig: false }))
