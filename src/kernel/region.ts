/** The regions an event can live in, in the order in which they are listed everywhere. AU is the default. */
export const regions = ['AU', 'US', 'EU', 'APAC'] as const
export type Region = (typeof regions)[number]

export const isRegion = (value: unknown): value is Region => regions.includes(value as Region)
