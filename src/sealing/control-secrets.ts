import type { KeyObject } from 'node:crypto'
import type { Region } from '../kernel/region.js'
import { derivedKey, newSecretKey, openSecret, sealSecret, secretKey } from './secret-box.js'

export type RegionUrlKind = 'database_url' | 'owner_url' | 'read_only_url'

/**
 * Secrets kept in the control database, sealed under a key derived from the control master key. Each is bound to its
 * place: the URL of one region does not open as that of another, nor one company's key as another's.
 */
export class ControlSecrets {
  readonly #key: KeyObject

  /** `masterKey`: 32 bytes, `CONTROL_MASTER_KEY`. */
  constructor(masterKey: KeyObject) {
    this.#key = derivedKey(masterKey, 'hyrelog control secrets')
  }

  /** A region's connection URL, for the column of the same name and `_sealed`. */
  sealRegionUrl(region: Region, kind: RegionUrlKind, url: string): Buffer {
    return sealSecret(this.#key, `${kind} of region ${region}`, Buffer.from(url, 'utf8'))
  }

  /** Throws SealBrokenError where the master key is another one or the value was moved or altered. */
  openRegionUrl(region: Region, kind: RegionUrlKind, sealed: Uint8Array): string {
    return openSecret(this.#key, `${kind} of region ${region}`, sealed).toString('utf8')
  }

  /** A fresh tag key for a new company, sealed for `company.tag_key_sealed`. */
  newTagKey(companyId: string): Buffer {
    return sealSecret(this.#key, tagKeyName(companyId), newSecretKey().export())
  }

  /** The key of a company's equality tags. Throws SealBrokenError. */
  openTagKey(companyId: string, sealed: Uint8Array): KeyObject {
    return secretKey(openSecret(this.#key, tagKeyName(companyId), sealed))
  }

  /** The secret of an account's second factor, sealed for `totp_secret.secret_sealed`. */
  sealTotpSecret(userId: string, secret: Uint8Array): Buffer {
    return sealSecret(this.#key, totpName(userId), secret)
  }

  /** Throws SealBrokenError. */
  openTotpSecret(userId: string, sealed: Uint8Array): Buffer {
    return openSecret(this.#key, totpName(userId), sealed)
  }

  /** The secret of a data subject's request, sealed for `gdpr_request.secret_sealed`. */
  sealRequestSecret(requestId: string, secret: Uint8Array): Buffer {
    return sealSecret(this.#key, requestName(requestId), secret)
  }

  /** Throws SealBrokenError. */
  openRequestSecret(requestId: string, sealed: Uint8Array): KeyObject {
    return secretKey(openSecret(this.#key, requestName(requestId), sealed))
  }
}

const requestName = (requestId: string): string => `secret of GDPR request ${requestId}`
const totpName = (userId: string): string => `second factor of account ${userId}`
const tagKeyName = (companyId: string): string => `tag key of company ${companyId}`
