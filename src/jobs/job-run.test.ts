import { expect, it } from 'vitest'
import { ObjectStoreUnavailableError } from '../objects/object-errors.js'
import { DomainError } from '../kernel/domain-error.js'
import { timedOut, wordFor } from './job-run.js'

it.each([
  [timedOut(), 'timed out'],
  [new DomainError('REGION_UNAVAILABLE', 'Region EU does not answer now.'), 'REGION_UNAVAILABLE'],
  [new ObjectStoreUnavailableError('connect 10.0.0.7'), 'object store unavailable'],
  [new Error('a secret'), 'failed'],
])('%s is told in a fixed word', (failure, word) => {
  expect(wordFor(failure)).toBe(word)
})
