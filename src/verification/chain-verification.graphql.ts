import { Field, ID, ObjectType, registerEnumType } from 'type-graphql'
import { RegionEnum } from '../graphql/region.graphql.js'
import { SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { BreakReason } from '../ledger/index.js'
import type { ChainVerification } from './verify-chain.js'

export const ChainBreakReasonEnum = {
  MISSING_EVENT: 'MISSING_EVENT',
  PREVIOUS_HASH_MISMATCH: 'PREVIOUS_HASH_MISMATCH',
  HASH_MISMATCH: 'HASH_MISMATCH',
  COMMITMENT_MISMATCH: 'COMMITMENT_MISMATCH',
  MISSING_DISCLOSURE: 'MISSING_DISCLOSURE',
  TOMBSTONE_MISMATCH: 'TOMBSTONE_MISMATCH',
  HEAD_MISMATCH: 'HEAD_MISMATCH',
  CHECKPOINT_MISMATCH: 'CHECKPOINT_MISMATCH',
} as const satisfies Record<BreakReason, BreakReason>
registerEnumType(ChainBreakReasonEnum, {
  name: 'ChainBreakReason',
  description: 'Why an event, or the chain as a whole, does not verify. Tested in this order.',
  valuesConfig: {
    MISSING_EVENT: { description: 'A gap in the sequences.' },
    PREVIOUS_HASH_MISMATCH: { description: 'The event does not name the hash of the one before.' },
    HASH_MISMATCH: { description: 'The body, what repeats it for searching, the link or the term is not as hashed.' },
    COMMITMENT_MISMATCH: {
      description: 'A value, its salt, or what makes it searchable is not what was committed to.',
    },
    MISSING_DISCLOSURE: { description: 'A value is gone, and no erasure of the chain accounts for it.' },
    TOMBSTONE_MISMATCH: { description: 'What is marked as erased is not what its erasure names.' },
    HEAD_MISMATCH: { description: 'There are fewer or more events than the head or a signed checkpoint says.' },
    CHECKPOINT_MISMATCH: {
      description: 'The events, or the stored tree, contradict a signed checkpoint; or a checkpoint is not signed.',
    },
  },
})

@ObjectType('ChainBreak', { description: 'The first place where a chain does not verify.' })
export class ChainBreakType {
  @Field(() => SafeIntScalar, {
    description: 'The event concerned; of a missing one its own sequence, of a checkpoint the size it was signed at.',
  })
  readonly sequence!: number

  @Field(() => ID, { nullable: true, description: 'The event concerned; null where it is not known.' })
  readonly eventId!: string | null

  @Field(() => ChainBreakReasonEnum, { description: 'What is wrong there.' })
  readonly reason!: BreakReason
}

@ObjectType('ChainVerification', { description: "What verifying a stretch of a workspace's chain came to." })
export class ChainVerificationType {
  constructor(private readonly verification: ChainVerification) {}

  @Field(() => RegionEnum, {
    description:
      'The region whose database was verified: another than the home where a replica stood in. Then it is what the replica has that verifies; how long the chain is at home is not known.',
  })
  get servedBy(): Region {
    return this.verification.servedBy
  }

  @Field(() => Boolean, { description: 'Whether the whole stretch verifies.' })
  get ok(): boolean {
    return this.verification.firstBreak === null
  }

  @Field(() => SafeIntScalar, { description: 'How many events verify, up to the first break.' })
  get checkedEvents(): number {
    return this.verification.checkedEvents
  }

  @Field(() => SafeIntScalar, {
    description: 'Of these, events of which something was erased, as the chain itself proves.',
  })
  get erasedEvents(): number {
    return this.verification.erasedEvents
  }

  @Field(() => SafeIntScalar, { description: 'Bodies that lie in cold objects: link and hash checked, body not.' })
  get linkOnlyEvents(): number {
    return this.verification.linkOnlyEvents
  }

  @Field(() => SafeIntScalar, { description: 'The first sequence of the stretch.' })
  get fromSequence(): number {
    return this.verification.fromSequence
  }

  @Field(() => SafeIntScalar, { description: 'The last sequence of the stretch; 0 of a chain without events.' })
  get toSequence(): number {
    return this.verification.toSequence
  }

  @Field(() => Sha256Scalar, { nullable: true, description: 'The hash of the last event that verifies.' })
  get headHash(): Buffer | null {
    return this.verification.headHash
  }

  @Field(() => ChainBreakType, {
    nullable: true,
    description: 'The first event that does not verify, and why.',
  })
  get firstBreak(): ChainBreakType | null {
    const { firstBreak, region } = this.verification
    if (firstBreak === null) return null
    const { sequence, eventId, reason } = firstBreak
    return { sequence, reason, eventId: eventId === null ? null : encodeRegionalId('event', region, eventId) }
  }
}
