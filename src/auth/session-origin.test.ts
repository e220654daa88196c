import { expect, test } from 'vitest'
import { isOwnOrigin, type RequestOrigin } from './session-origin.js'

const request = (given: Partial<RequestOrigin>): RequestOrigin => ({
  origin: undefined,
  fetchSite: undefined,
  host: 'audit.example',
  secure: true,
  ...given,
})

test.each<[Partial<RequestOrigin>, boolean]>([
  [{ origin: 'https://audit.example' }, true],
  [{ origin: 'https://audit.example', host: 'audit.example:443' }, true],
  [{ origin: 'http://127.0.0.1:4000', host: '127.0.0.1:4000', secure: false }, true],
  [{ origin: 'https://console.example' }, true],
  [{}, true],
  [{ fetchSite: 'same-origin' }, true],
  [{ fetchSite: 'cross-site' }, false],
  [{ fetchSite: 'same-site' }, false],
  [{ origin: 'https://evil.example' }, false],
  [{ origin: 'https://audit.example.evil.example' }, false],
  [{ origin: 'https://audit.example:8443' }, false],
  [{ origin: 'http://audit.example' }, false],
  [{ origin: 'null' }, false],
  [{ origin: 'file://audit.example' }, false],
])('own origin of %j: %s', (given, own) => {
  expect(isOwnOrigin(request(given), ['https://console.example'])).toBe(own)
})
