import { describe } from 'vitest'
import { gcsBucket, type Patience } from '../../src/objects/gcs/gcs-client.js'
import { GcsObjectStore } from '../../src/objects/gcs/gcs-store.js'
import { FakeGcsBucket, GcsFake } from '../harness/servers/gcs-fake.js'
import { settableClock } from '../harness/settable-clock.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const partBytes = 2 * MIB

async function begin(versioned: boolean): Promise<Subject> {
  const fake = await GcsFake.start()
  const clock = settableClock()
  fake.buckets.set('cold', new FakeGcsBucket(versioned))
  const at = (endpoint: string, bucket = 'cold', patience: Partial<Patience> = {}): GcsObjectStore =>
    new GcsObjectStore({
      bucket: gcsBucket({ bucket, endpoint, patience }),
      clock,
      patience,
      sizes: { partBytes, listPage: 3 },
    })
  return {
    store: at(fake.url),
    clock,
    partBytes,
    finishRestores: async () => undefined,
    server: {
      url: fake.url,
      at: (url) => at(url),
      impatientAt: (url) => at(url, 'cold', { requestMs: 300, retriesMax: 1 }),
      missing: at(fake.url, 'nobody-made-this'),
    },
    stop: () => fake.stop(),
  }
}

describe('Google Cloud Storage', () => keepsItsPromises(() => begin(false)))
describe('Google Cloud Storage with generations', () => keepsItsPromises(() => begin(true), { streamsBig: false }))
