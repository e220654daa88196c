import { LockMode } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Region } from '../kernel/region.js'
import { Company, type CompanyRow } from './company.entity.js'
import type { CompanyFacts } from './facts.js'

/** A company as it is first stored. */
export interface NewCompany extends CompanyFacts {
  readonly tagKeySealed: Buffer
}

export const findCompany = async (em: SqlEntityManager, id: string): Promise<CompanyFacts | null> =>
  orNull(await em.findOne(Company, { id }))

export const findCompanyBySlug = async (em: SqlEntityManager, slug: string): Promise<CompanyFacts | null> =>
  orNull(await em.findOne(Company, { slug }))

/** The companies of these ids that exist, in no particular order. */
export const findCompanies = async (em: SqlEntityManager, ids: readonly string[]): Promise<CompanyFacts[]> =>
  (await em.find(Company, { id: { $in: [...ids] } })).map(companyOf)

/** Every company, by slug. */
export const listCompanies = async (em: SqlEntityManager): Promise<CompanyFacts[]> =>
  (await em.find(Company, {}, { orderBy: { slug: 'asc' } })).map(companyOf)

/** Fails with a unique violation where the slug is taken. */
export async function insertCompany(em: SqlEntityManager, company: NewCompany): Promise<void> {
  await em.insert(Company, { ...company, replicateTo: [...company.replicateTo] })
}

/** A company, locked until the transaction ends, or null. */
export const lockCompany = async (em: SqlEntityManager, id: string): Promise<CompanyFacts | null> =>
  orNull(await em.findOne(Company, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE }))

export async function setReplicas(em: SqlEntityManager, id: string, replicateTo: readonly Region[]): Promise<void> {
  await em.nativeUpdate(Company, { id }, { replicateTo: [...replicateTo] })
}

const orNull = (row: CompanyRow | null): CompanyFacts | null => row && companyOf(row)

const companyOf = (row: CompanyRow): CompanyFacts => ({
  id: row.id,
  name: row.name,
  slug: row.slug,
  dataRegion: row.dataRegion,
  replicateTo: row.replicateTo,
  retentionDays: row.retentionDays,
  createdAt: row.createdAt,
})
