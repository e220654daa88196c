import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { describe } from 'vitest'
import { S3ObjectStore, type S3StoreOptions } from '../../src/objects/s3/s3-store.js'
import { radosgwCredentials as credentials, radosgwMissing, startRadosgw } from '../harness/servers/radosgw.js'
import { settableClock } from '../harness/settable-clock.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
/** The least that S3 takes for a part that isn't the last. */
const partBytes = 5 * MIB

async function begin(): Promise<Subject> {
  const server = await startRadosgw()
  const client = new S3Client({ endpoint: server.url, region: 'us-east-1', credentials, forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: 'cold' }))
  const clock = settableClock()
  const at = (options: Partial<S3StoreOptions>): S3ObjectStore =>
    new S3ObjectStore({
      bucket: 'cold',
      endpoint: server.url,
      credentials,
      clock,
      sizes: { partBytes, listPage: 3 },
      ...options,
    })
  return {
    store: at({}),
    clock,
    partBytes,
    finishRestores: async () => undefined,
    server: {
      url: server.url,
      at: (endpoint) => at({ endpoint }),
      impatientAt: (endpoint) => at({ endpoint, patience: { silenceMs: 300, attemptsMax: 2 } }),
      missing: at({ bucket: 'nobody-made-this' }),
    },
    stop: () => {
      client.destroy()
      return server.stop()
    },
  }
}

describe.skipIf(radosgwMissing !== undefined)(
  `S3 of Ceph${radosgwMissing === undefined ? '' : ` (${radosgwMissing})`}`,
  () => keepsItsPromises(begin, { refusesLateParts: false }),
)
