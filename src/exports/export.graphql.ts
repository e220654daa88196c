import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { DateTimeScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import { encodeRegionalId } from '../kernel/ids.js'
import {
  type ExportFormat,
  type ExportJob,
  type ExportScope,
  type ExportStatus,
  statusAt,
  totalRows,
} from './export-job.js'

export const ExportFormatEnum = { NDJSON: 'NDJSON', CSV: 'CSV' } as const satisfies Record<ExportFormat, ExportFormat>
registerEnumType(ExportFormatEnum, {
  name: 'ExportFormat',
  description: 'What the file of an export holds.',
  valuesConfig: {
    NDJSON: {
      description:
        'One event a line, with everything that is needed to verify it offline, and a signed checkpoint at the end.',
    },
    CSV: { description: 'A table for people. It proves nothing.' },
  },
})

export const ExportScopeEnum = { HOT: 'HOT', ARCHIVED: 'ARCHIVED', ALL: 'ALL' } as const satisfies Record<
  ExportScope,
  ExportScope
>
registerEnumType(ExportScopeEnum, {
  name: 'ExportScope',
  description: 'Of which events an export is.',
  valuesConfig: {
    HOT: { description: 'Those within their retention.' },
    ARCHIVED: { description: 'Those that were moved into archive objects.' },
    ALL: { description: 'Both, each event once.' },
  },
})

export const ExportStatusEnum = {
  QUEUED: 'QUEUED',
  RUNNING: 'RUNNING',
  DONE: 'DONE',
  FAILED: 'FAILED',
  EXPIRED: 'EXPIRED',
} as const satisfies Record<ExportStatus, ExportStatus>
registerEnumType(ExportStatusEnum, {
  name: 'ExportStatus',
  description: 'How far an export is.',
  valuesConfig: {
    QUEUED: { description: 'It waits for its turn, or goes on after an interruption.' },
    RUNNING: { description: 'It is being written.' },
    DONE: { description: 'It can be downloaded until expiresAt.' },
    FAILED: { description: 'It will not be written; failure says why.' },
    EXPIRED: { description: 'Its file has been deleted.' },
  },
})

@InputType('RequestExportInput', { description: 'What to export.' })
export class RequestExportInputType {
  @Field(() => ID, { description: 'The workspace.' })
  workspaceId!: string

  @Field(() => DateTimeScalar, {
    nullable: true,
    description:
      'Events received at this time or later; all where it is left out. The export is widened to a stretch of the chain without holes.',
  })
  from?: Date | null

  @Field(() => DateTimeScalar, { nullable: true, description: 'Events received before this time.' })
  to?: Date | null

  @Field(() => ExportFormatEnum, { description: 'What the file is to hold.' })
  format!: ExportFormat

  @Field(() => ExportScopeEnum, {
    nullable: true,
    defaultValue: 'HOT',
    description:
      'Of which events. Cold archive objects among them have to be restored first: RESTORE_REQUIRED names them.',
  })
  scope?: ExportScope | null
}

@ObjectType('ExportProgress', { description: 'How many events have been written.' })
export class ExportProgressType {
  @Field(() => SafeIntScalar, { description: 'Events that are in the file.' })
  readonly exportedRows!: number

  @Field(() => SafeIntScalar, { nullable: true, description: 'Events it will have; null while that is not known.' })
  readonly totalRows!: number | null
}

@ObjectType('Export', {
  implements: NodeType,
  description: 'Events of a workspace in a file, as of a signed checkpoint: each once, whatever is recorded meanwhile.',
})
export class ExportType implements NodeType {
  constructor(
    readonly job: ExportJob,
    private readonly now: Date,
    private readonly link: string | null,
  ) {}

  @Field(() => ID, { description: 'The global id, exp_<region>_….' })
  get id(): string {
    return encodeRegionalId('export', this.job.region, this.job.id)
  }

  @Field(() => ExportStatusEnum, { description: 'How far it is.' })
  get status(): ExportStatus {
    return statusAt(this.job, this.now)
  }

  @Field(() => ExportFormatEnum, { description: 'What the file holds.' })
  get format(): ExportFormat {
    return this.job.format
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'Events received at this time or later.' })
  get from(): Date | null {
    return this.job.from
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'Events received before this time.' })
  get to(): Date | null {
    return this.job.to
  }

  @Field(() => ExportProgressType, { description: 'How many events have been written.' })
  get progress(): ExportProgressType {
    return { exportedRows: this.job.rowsWritten, totalRows: totalRows(this.job) }
  }

  @Field(() => SafeIntScalar, {
    nullable: true,
    description: "The size of the workspace's tree that the export is a snapshot of; null until it is fixed.",
  })
  get treeSize(): number | null {
    return this.job.snapshot?.treeSize ?? null
  }

  @Field(() => SafeIntScalar, { nullable: true, description: 'Events in the file; null until it is done.' })
  get rowCount(): number | null {
    return this.job.sha256 === null ? null : this.job.rowsWritten
  }

  @Field(() => SafeIntScalar, { nullable: true, description: 'The size of the file; null until it is done.' })
  get sizeBytes(): number | null {
    return this.job.sha256 === null ? null : this.job.bytesWritten
  }

  @Field(() => Sha256Scalar, { nullable: true, description: 'The SHA-256 of the file; null until it is done.' })
  get sha256(): Buffer | null {
    return this.job.sha256
  }

  @Field(() => String, {
    nullable: true,
    description:
      'Where the file can be downloaded, relative to the address of this API. Whoever has the link may, for 15 minutes; asking again gives a new one. Null unless the export is done.',
  })
  get downloadUrl(): string | null {
    return this.link
  }

  @Field(() => DateTimeScalar, { description: 'When it was asked for.' })
  get createdAt(): Date {
    return this.job.createdAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was done, or failed.' })
  get completedAt(): Date | null {
    return this.job.completedAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the file is deleted; null until it is done.' })
  get expiresAt(): Date | null {
    return this.job.expiresAt
  }

  @Field(() => String, { nullable: true, description: 'Why it failed, for people.' })
  get failure(): string | null {
    return this.job.failure
  }
}

@ObjectType('ExportPayload', { description: 'The export that was asked for.' })
export class ExportPayloadType {
  @Field(() => ExportType, { description: 'The export.' })
  readonly export!: ExportType
}
