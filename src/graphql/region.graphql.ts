import { registerEnumType } from 'type-graphql'
import type { Region } from '../kernel/region.js'

export const RegionEnum = { AU: 'AU', US: 'US', EU: 'EU', APAC: 'APAC' } as const satisfies Record<Region, Region>
registerEnumType(RegionEnum, {
  name: 'Region',
  description: 'Where data lives. AU is the default.',
  valuesConfig: {
    AU: { description: 'Australia.' },
    US: { description: 'The United States.' },
    EU: { description: 'The European Union.' },
    APAC: { description: 'Asia and the Pacific, Australia apart.' },
  },
})
