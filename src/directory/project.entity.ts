import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const Project = defineEntity({
  name: 'Project',
  tableName: 'project',
  properties: {
    id: p.uuid().primary(),
    companyId: p.uuid(),
    workspaceId: p.uuid(),
    name: p.text(),
    slug: p.text(),
    createdAt: p.datetime(3),
  },
})
export type ProjectRow = InferEntity<typeof Project>
