/** The companies whose rows may be shown to a caller: these alone, or (to staff) every one. */
export type CompanyVisibility = readonly string[] | 'all'

export const isVisible = (companies: CompanyVisibility, companyId: string): boolean =>
  companies === 'all' || companies.includes(companyId)

/** The condition on a column `companyId` that lets visible rows through. */
export const visibleRows = (companies: CompanyVisibility): { companyId?: { $in: string[] } } =>
  companies === 'all' ? {} : { companyId: { $in: [...companies] } }
