import { BlobServiceClient } from '@azure/storage-blob'
import { describe } from 'vitest'
import { azureContainer } from '../../src/objects/azure/azure-client.js'
import { AzureObjectStore } from '../../src/objects/azure/azure-store.js'
import { azuriteMissing, startAzurite } from '../harness/servers/azurite.js'
import { settableClock } from '../harness/settable-clock.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const partBytes = 2 * MIB

async function begin(): Promise<Subject> {
  const server = await startAzurite()
  await BlobServiceClient.fromConnectionString(server.connectionString(server.url)).createContainer('cold')
  const clock = settableClock()
  const at = async (url: string, container = 'cold', patience = {}): Promise<AzureObjectStore> =>
    new AzureObjectStore({
      container: await azureContainer({ container, connectionString: server.connectionString(url), patience }),
      clock,
      patience,
      sizes: { partBytes, listPage: 3 },
    })
  return {
    store: await at(server.url),
    clock,
    partBytes,
    finishRestores: async () => undefined,
    server: {
      url: server.url,
      at: (url) => at(url),
      impatientAt: (url) => at(url, 'cold', { requestMs: 1_000, attemptsMax: 2 }),
      missing: await at(server.url, 'nobody-made-this'),
    },
    stop: () => server.stop(),
  }
}

const skipped = azuriteMissing === undefined ? '' : ` (${azuriteMissing})`
describe.skipIf(azuriteMissing !== undefined)(`Azurite${skipped}`, () => {
  keepsItsPromises(begin)
})
