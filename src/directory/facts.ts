import type { Region } from '../kernel/region.js'

/** What a request needs to know of a company. Immutable: shared between requests. */
export interface CompanyFacts {
  readonly id: string
  readonly name: string
  readonly slug: string
  readonly dataRegion: Region
  readonly replicateTo: readonly Region[]
  readonly retentionDays: number
  readonly createdAt: Date
}

export interface WorkspaceFacts {
  readonly id: string
  readonly companyId: string
  readonly name: string
  readonly slug: string
  readonly dataRegion: Region
  /** The workspace's own, else its company's. */
  readonly retentionDays: number
  readonly status: 'ACTIVE' | 'ARCHIVED'
  readonly createdAt: Date
}

/** The newest erasure of a chain: what holds less of the chain than this holds what was erased. */
export interface ErasureFloor {
  readonly workspaceId: string
  readonly sequence: number
}

export interface ProjectFacts {
  readonly id: string
  readonly companyId: string
  readonly workspaceId: string
  readonly name: string
  readonly slug: string
  readonly createdAt: Date
}

export interface ApiKeyFacts {
  readonly id: string
  readonly companyId: string
  readonly workspaceId: string | null
  readonly name: string
  readonly prefix: string
  /** HMAC-SHA-256 of the whole key under the server's pepper. */
  readonly secretHmac: Buffer
  readonly scope: 'COMPANY' | 'WORKSPACE'
  readonly readOnly: boolean
  /** CIDR blocks; empty: from anywhere. */
  readonly ipAllowlist: readonly string[]
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** As of when the facts were read: it alone is not pushed. */
  readonly lastUsedAt: Date | null
  readonly createdAt: Date
  readonly company: CompanyFacts
  readonly workspace: WorkspaceFacts | null
}
