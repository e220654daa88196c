import { InvalidArgumentError } from 'commander'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { findCompany, findCompanyBySlug } from '../directory/company.store.js'
import type { CompanyFacts } from '../directory/facts.js'
import type { WorkspaceRow } from '../directory/workspace.entity.js'
import { findWorkspaceBySlug, findWorkspaceRow } from '../directory/workspace.store.js'
import { notFound } from '../kernel/domain-error.js'
import { parseGlobalId } from '../kernel/ids.js'
import { isRegion, regions, type Region } from '../kernel/region.js'

/** A company by its id (co_…) or slug. `NOT_FOUND`. */
export async function companyNamed(em: SqlEntityManager, name: string): Promise<CompanyFacts> {
  const id = parseGlobalId(name)
  const found = id?.kind === 'company' ? await findCompany(em, id.uuid) : await findCompanyBySlug(em, name)
  if (found === null) throw notFound('Company')
  return found
}

/** A workspace by its id (ws_…), or by the slugs of its company and itself (acme/production). `NOT_FOUND`. */
export async function workspaceNamed(em: SqlEntityManager, name: string): Promise<WorkspaceRow> {
  const id = parseGlobalId(name)
  const [companySlug = '', slug = ''] = name.split('/')
  const found =
    id?.kind === 'workspace'
      ? await findWorkspaceRow(em, id.uuid)
      : await findWorkspaceBySlug(em, (await companyNamed(em, companySlug)).id, slug)
  if (found === null) throw notFound('Workspace')
  return found
}

/** For options that take a region. */
export function regionOf(text: string): Region {
  const code = text.toUpperCase()
  if (!isRegion(code)) throw new InvalidArgumentError(`It must be one of ${regions.join(', ')}.`)
  return code
}

/** For options that take regions, separated by commas. */
export const regionsOf = (text: string): Region[] =>
  text
    .split(',')
    .map((code) => code.trim())
    .filter((code) => code !== '')
    .map(regionOf)

/** For options that take a number of days. */
export function daysOf(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of days.')
  return Number(text)
}

/** For options that take a moment. */
export function momentOf(text: string): Date {
  const moment = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*(Z|[+-]\d{2}:\d{2})$/.test(text) || Number.isNaN(moment.getTime()))
    throw new InvalidArgumentError('It must be a moment like 2027-01-31T00:00:00Z.')
  return moment
}
