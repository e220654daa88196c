import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { pageInfoOf, PageInfoType } from '../graphql/page-info.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { ObjectClass, RestoreTier } from '../objects/object-store.js'
import { type ArchiveFault, type ArchiveObject, classAt, eventCount } from './archive-object.js'
import type { ArchiveObjectPage } from './list-archive-objects.js'
import { RESTORE_DAYS_DEFAULT, RESTORE_DAYS_MAX } from './request-restore.js'
import type { ArchiveVerdict } from './verify-archive.js'

export const StorageClassEnum = {
  WARM: 'WARM',
  COLD: 'COLD',
  RESTORING: 'RESTORING',
  RESTORED: 'RESTORED',
} as const satisfies Record<ObjectClass, ObjectClass>
registerEnumType(StorageClassEnum, {
  name: 'StorageClass',
  description: 'Where the bytes of an archive object are.',
  valuesConfig: {
    WARM: { description: 'Readable at once.' },
    COLD: { description: 'In cold storage: ask for its restore first.' },
    RESTORING: { description: 'A restore was asked for and takes its time.' },
    RESTORED: { description: 'A copy is readable until restoredUntil; then it is cold again.' },
  },
})

export const ArchiveFaultEnum = {
  MISSING: 'MISSING',
  ALTERED: 'ALTERED',
  TRUNCATED: 'TRUNCATED',
  SWAPPED: 'SWAPPED',
  WRONG_COUNT: 'WRONG_COUNT',
  BROKEN_CHAIN: 'BROKEN_CHAIN',
} as const satisfies Record<ArchiveFault, ArchiveFault>
const faultDescriptions = {
  MISSING: { description: 'It, or its manifest, is not in the bucket.' },
  ALTERED: { description: 'Its bytes, or its manifest, are not those that were written.' },
  TRUNCATED: { description: 'The end of it is missing.' },
  SWAPPED: { description: 'It is another object, of another chain or another run.' },
  WRONG_COUNT: { description: 'It has more or fewer events than were written.' },
  BROKEN_CHAIN: { description: 'Its events do not hang together, or are not those of the chain.' },
}
registerEnumType(ArchiveFaultEnum, {
  name: 'ArchiveFault',
  description: 'What is wrong with an archive object.',
  valuesConfig: faultDescriptions,
})

export const ArchiveVerdictEnum = {
  OK: 'OK',
  OK_WITH_ERASURES: 'OK_WITH_ERASURES',
  NOT_READ: 'NOT_READ',
  ...ArchiveFaultEnum,
} as const satisfies Record<ArchiveVerdict, ArchiveVerdict>
registerEnumType(ArchiveVerdictEnum, {
  name: 'ArchiveVerdict',
  description: 'What verifying an archive object came to.',
  valuesConfig: {
    OK: { description: 'Digest, count, chain and root are those that were written.' },
    OK_WITH_ERASURES: { description: 'The same; of some of its events personal data was erased, as the chain proves.' },
    NOT_READ: { description: 'It is in cold storage: that it is there is all that was seen.' },
    ...faultDescriptions,
  },
})

export const RestoreTierEnum = {
  EXPEDITED: 'EXPEDITED',
  STANDARD: 'STANDARD',
  BULK: 'BULK',
} as const satisfies Record<RestoreTier, RestoreTier>
registerEnumType(RestoreTierEnum, {
  name: 'RestoreTier',
  description: 'How fast, and how dear, a restore is. What a bucket has of these, restoreEstimate tells.',
  valuesConfig: {
    EXPEDITED: { description: 'Minutes.' },
    STANDARD: { description: 'Hours.' },
    BULK: { description: 'A day or two, at the lowest price.' },
  },
})

@ObjectType('ArchiveObject', {
  simpleResolvers: true,
  implements: NodeType,
  description: 'Events of one workspace and one day that are past their retention, in an immutable object.',
})
export class ArchiveObjectType implements NodeType {
  constructor(
    readonly object: ArchiveObject,
    private readonly now: Date,
  ) {}

  @Field(() => ID, { description: 'The global id, arc_<region>_….' })
  get id(): string {
    return encodeRegionalId('archiveObject', this.object.region, this.object.id)
  }

  @Field(() => RegionEnum, { description: 'The region whose bucket it is in.' })
  get region(): Region {
    return this.object.region
  }

  @Field(() => String, { description: 'The day in UTC on which its events were received, YYYY-MM-DD.' })
  get day(): string {
    return this.object.day
  }

  @Field(() => String, { description: 'Its key in the bucket.' })
  get key(): string {
    return this.object.key
  }

  @Field(() => StorageClassEnum, { description: 'Where its bytes are.' })
  get storageClass(): ObjectClass {
    return classAt(this.object, this.now)
  }

  @Field(() => SafeIntScalar, { description: 'The sequence of its first event.' })
  get firstSequence(): number {
    return this.object.firstSequence
  }

  @Field(() => SafeIntScalar, { description: 'The sequence of its last event.' })
  get lastSequence(): number {
    return this.object.lastSequence
  }

  @Field(() => SafeIntScalar, { description: 'How many events it has.' })
  get eventCount(): number {
    return eventCount(this.object)
  }

  @Field(() => SafeIntScalar, { description: 'Its size in the bucket.' })
  get sizeBytes(): number {
    return this.object.sizeBytes
  }

  @Field(() => Sha256Scalar, { description: 'The SHA-256 of its bytes.' })
  get sha256(): Buffer {
    return this.object.sha256
  }

  @Field(() => DateTimeScalar, { description: 'When it was written.' })
  get createdAt(): Date {
    return this.object.createdAt
  }

  @Field(() => DateTimeScalar, { nullable: true, description: 'When its bytes were last found whole.' })
  get verifiedAt(): Date | null {
    return this.object.verifiedAt
  }

  @Field(() => ArchiveFaultEnum, {
    nullable: true,
    description: 'What was wrong with it when it was last verified; null: nothing.',
  })
  get fault(): ArchiveFault | null {
    return this.object.fault
  }

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Until when the restored copy can be read, as the bucket says; null unless it is RESTORED.',
  })
  get restoredUntil(): Date | null {
    return this.storageClass === 'RESTORED' ? this.object.restoredUntil : null
  }
}

@ObjectType('ArchiveObjectEdge', { description: 'An archive object and its place in the list.' })
export class ArchiveObjectEdgeType {
  constructor(
    readonly object: ArchiveObject,
    private readonly page: ArchiveObjectPage,
    private readonly now: Date,
  ) {}

  @Field(() => String, { description: 'Names this place, for after and before.' })
  get cursor(): string {
    return this.page.cursorOf(this.object)
  }

  @Field(() => ArchiveObjectType, { description: 'The object.' })
  get node(): ArchiveObjectType {
    return new ArchiveObjectType(this.object, this.now)
  }
}

@ObjectType('ArchiveObjectConnection', { description: 'A page of archive objects, newest day first.' })
export class ArchiveObjectConnectionType {
  constructor(
    readonly page: ArchiveObjectPage,
    private readonly now: Date,
  ) {}

  @Field(() => [ArchiveObjectEdgeType], { description: 'The objects of the page with their cursors.' })
  get edges(): ArchiveObjectEdgeType[] {
    return this.page.objects.map((object) => new ArchiveObjectEdgeType(object, this.page, this.now))
  }

  @Field(() => [ArchiveObjectType], { description: 'The objects of the page.' })
  get nodes(): ArchiveObjectType[] {
    return this.page.objects.map((object) => new ArchiveObjectType(object, this.now))
  }

  @Field(() => PageInfoType, { description: 'Where the page lies in the list.' })
  get pageInfo(): PageInfoType {
    return pageInfoOf(this.page.objects, this.page)
  }

  @Field(() => SafeIntScalar, { description: 'How many objects there are.' })
  totalCount(): Promise<number> {
    return this.page.total()
  }
}

@ObjectType('RestoreEstimate', { description: 'What restoring archive objects would come to.' })
export class RestoreEstimateType {
  @Field(() => SafeIntScalar, { description: 'How many archive objects there are.' })
  readonly objects!: number

  @Field(() => SafeIntScalar, { description: 'How large they are together.' })
  readonly bytes!: number

  @Field(() => SafeIntScalar, { description: 'How many of them are cold, or being restored.' })
  readonly coldObjects!: number

  @Field(() => SafeIntScalar, {
    description: 'How large these are together: what is restored, and billed by most providers.',
  })
  readonly coldBytes!: number

  @Field(() => [RestoreTierEnum], { description: 'The tiers that requestRestore takes here.' })
  readonly tiers!: readonly RestoreTier[]
}

@InputType('RequestRestoreInput', { description: 'Which object to restore, and for how long.' })
export class RequestRestoreInputType {
  @Field(() => ID, { description: 'The archive object.' })
  archiveObjectId!: string

  @Field(() => Int, {
    nullable: true,
    defaultValue: RESTORE_DAYS_DEFAULT,
    description: `For how many days, 1 to ${RESTORE_DAYS_MAX}. A restore that is under way already is joined.`,
  })
  days?: number | null

  @Field(() => RestoreTierEnum, { nullable: true, description: 'How fast; STANDARD where it is left out.' })
  tier?: RestoreTier | null
}

@ObjectType('ArchiveObjectPayload', { description: 'The archive object concerned.' })
export class ArchiveObjectPayloadType {
  @Field(() => ArchiveObjectType, { description: 'The archive object.' })
  readonly archiveObject!: ArchiveObjectType
}

@ObjectType('VerifyArchivePayload', { description: 'What verifying an archive object came to.' })
export class VerifyArchivePayloadType {
  @Field(() => ArchiveVerdictEnum, { description: 'The verdict.' })
  readonly verdict!: ArchiveVerdict

  @Field(() => ArchiveObjectType, { description: 'The archive object.' })
  readonly archiveObject!: ArchiveObjectType
}
