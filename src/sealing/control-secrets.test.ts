import { describe, expect, it } from 'vitest'
import { newUuid } from '../kernel/ids.js'
import { ControlSecrets } from './control-secrets.js'
import { newSecretKey, SealBrokenError } from './secret-box.js'

const secrets = new ControlSecrets(newSecretKey())
const url = 'postgres://service:hunter2@eu.example:5432/events'

describe('a sealed region URL', () => {
  it('opens in its place and nowhere else', () => {
    const sealed = secrets.sealRegionUrl('EU', 'database_url', url)
    expect(secrets.openRegionUrl('EU', 'database_url', sealed)).toBe(url)
    expect(() => secrets.openRegionUrl('US', 'database_url', sealed)).toThrow(SealBrokenError)
    expect(() => secrets.openRegionUrl('EU', 'owner_url', sealed)).toThrow(SealBrokenError)
  })

  it('shows nothing of the URL, and its errors neither', () => {
    const sealed = secrets.sealRegionUrl('EU', 'database_url', url)
    expect(sealed.toString('latin1')).not.toContain('hunter2')
    const other = new ControlSecrets(newSecretKey())
    expect(() => other.openRegionUrl('EU', 'database_url', sealed)).toThrow(/^(?!.*(hunter2|example)).*$/)
  })
})

it("opens a company's tag key for that company alone, each company having its own", () => {
  const [first, second] = [newUuid(), newUuid()]
  const sealed = secrets.newTagKey(first)
  const key = secrets.openTagKey(first, sealed)
  expect(secrets.openTagKey(first, sealed).equals(key)).toBe(true)
  expect(secrets.openTagKey(first, secrets.newTagKey(first)).equals(key)).toBe(false)
  expect(() => secrets.openTagKey(second, sealed)).toThrow(SealBrokenError)
})
