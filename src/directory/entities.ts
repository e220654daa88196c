import type { EntitySchema } from '@mikro-orm/core'
import { ApiKey } from './api-key.entity.js'
import { AppUser, CompanyMember } from './app-user.entity.js'
import { Company } from './company.entity.js'
import { Project } from './project.entity.js'
import { Workspace } from './workspace.entity.js'

/** Every entity of the control database. */
export const controlEntities: readonly EntitySchema[] = [Company, Workspace, Project, AppUser, CompanyMember, ApiKey]
