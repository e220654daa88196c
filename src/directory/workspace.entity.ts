import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import type { Region } from '../kernel/region.js'

export type WorkspaceStatus = 'ACTIVE' | 'ARCHIVED'

export const Workspace = defineEntity({
  name: 'Workspace',
  tableName: 'workspace',
  properties: {
    id: p.uuid().primary(),
    companyId: p.uuid(),
    name: p.text(),
    slug: p.text(),
    dataRegion: p.text().$type<Region>(),
    /** Null: the company's. */
    retentionDays: p.integer().strictNullable(),
    status: p.text().$type<WorkspaceStatus>(),
    createdAt: p.datetime(3),
  },
})
export type WorkspaceRow = InferEntity<typeof Workspace>
