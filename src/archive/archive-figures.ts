import type { Region } from '../kernel/region.js'

const names = ['archived_events', 'written_objects', 'cold_moves', 'restores', 'erasure_rewrites', 'reads'] as const
export type ArchiveFigure = (typeof names)[number]

/** What this process has done with archives, by region. */
export class ArchiveFigures {
  readonly #counts = new Map<ArchiveFigure, Map<Region, number>>(names.map((name) => [name, new Map()]))

  add(figure: ArchiveFigure, region: Region, count = 1): void {
    const byRegion = this.#counts.get(figure)!
    byRegion.set(region, (byRegion.get(region) ?? 0) + count)
  }

  get counts(): ReadonlyMap<ArchiveFigure, ReadonlyMap<Region, number>> {
    return this.#counts
  }
}
