import { isVisible } from './company-visibility.js'
import { findCompanies } from './company.store.js'
import { type DirectoryLoader, directoryLoader, type DirectoryLoaderDeps } from './entity-batch.js'
import type { CompanyFacts } from './facts.js'

export type CompanyLoader = DirectoryLoader<CompanyFacts>

/** The caller's companies by id. One query a batch. */
export const companyLoader = (deps: DirectoryLoaderDeps): CompanyLoader =>
  directoryLoader<CompanyFacts>(deps, {
    companyIdOf: (company) => company.id,
    peek: (id) => deps.facts.peekCompany(id),
    find: async (em, ids, companies) => {
      const found = await findCompanies(
        em,
        ids.filter((id) => isVisible(companies, id)),
      )
      return new Map(found.map((company) => [company.id, company]))
    },
  })
