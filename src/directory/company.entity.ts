import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import type { Region } from '../kernel/region.js'

export const Company = defineEntity({
  name: 'Company',
  tableName: 'company',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    slug: p.text().unique(),
    dataRegion: p.text().$type<Region>(),
    replicateTo: p.array().$type<Region[]>().columnType('text[]'),
    retentionDays: p.integer(),
    tagKeySealed: p.blob().hidden().lazy(),
    createdAt: p.datetime(3),
  },
})
export type CompanyRow = InferEntity<typeof Company>
