import { Counter, Gauge, type Registry } from 'prom-client'
import type { ArchiveFigure } from '../archive/archive-figures.js'
import type { ArchiveFault } from '../archive/archive-object.js'
import type { readArchiveFigures } from '../archive/archive-object.store.js'
import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'

type StoredFigures = Awaited<ReturnType<typeof readArchiveFigures>>

/** Where the figures of archives come from. */
export interface ArchiveMetricSources {
  readonly regions: () => readonly Region[]
  readonly archiveFaults: () => ReadonlyMap<ArchiveFault, number>
  readonly archiveWork: () => ReadonlyMap<ArchiveFigure, ReadonlyMap<Region, number>>
  readonly archivedOf: (region: Region) => Promise<StoredFigures>
}

const workHelp: Readonly<Record<ArchiveFigure, string>> = {
  archived_events: 'Events moved into archive objects by this process.',
  written_objects: 'Archive objects written by this process.',
  cold_moves: 'Archive objects moved to cold storage by this process.',
  restores: 'Restores asked for by this process.',
  erasure_rewrites: 'Archive objects rewritten for an erasure by this process.',
  reads: 'Archive objects downloaded and unpacked by this process.',
}

/** Adds what is archived, what this process did about it, and what it found wrong. */
export function addArchiveFigures(registry: Registry, sources: ArchiveMetricSources): void {
  for (const [figure, help] of Object.entries(workHelp) as [ArchiveFigure, string][])
    registry.registerMetric(
      new Counter({
        name: `hyrelog_archive_${figure}_total`,
        help,
        labelNames: ['region'],
        registers: [],
        collect() {
          this.reset()
          for (const [region, count] of sources.archiveWork().get(figure) ?? []) this.inc({ region }, count)
        },
      }),
    )
  registry.registerMetric(
    new Counter({
      name: 'hyrelog_archive_faults_total',
      help: 'Archive objects found not to be what was written.',
      labelNames: ['fault'],
      registers: [],
      collect() {
        this.reset()
        for (const [fault, count] of sources.archiveFaults()) this.inc({ fault }, count)
      },
    }),
  )
  addStoredFigures(registry, sources)
}

const storedHelp = {
  hyrelog_archive_objects: ['objects', 'Archive objects that there are.'],
  hyrelog_archive_events: ['events', 'Events that are in archive objects.'],
  hyrelog_archive_bytes: ['bytes', 'Size of archive objects together.'],
  hyrelog_archive_faulty_objects: ['faulty', 'Archive objects that were not what was written when last verified.'],
} as const

function addStoredFigures(registry: Registry, sources: ArchiveMetricSources): void {
  let asking: Promise<ReadonlyMap<Region, StoredFigures>> | undefined
  // All gauges of one scrape share one question.
  const ask = () => (asking ??= readAll(sources).finally(() => (asking = undefined)))
  for (const [name, [member, help]] of Object.entries(storedHelp))
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['region', 'class'],
        registers: [],
        async collect() {
          const found = await ask()
          this.reset()
          for (const [region, figures] of found)
            for (const one of figures) this.set({ region, class: one.storageClass }, one[member])
        },
      }),
    )
}

async function readAll(sources: ArchiveMetricSources): Promise<ReadonlyMap<Region, StoredFigures>> {
  const found = await Promise.all(
    sources.regions().map(async (region) => [region, await sources.archivedOf(region).catch(unanswered)] as const),
  )
  return new Map(found.flatMap(([region, figures]) => (figures === null ? [] : [[region, figures] as const])))
}

/** A region that does not answer is left out: the health check is what reports that. */
function unanswered(error: unknown): null {
  if (error instanceof DatabaseError || error instanceof DomainError) return null
  throw error
}
