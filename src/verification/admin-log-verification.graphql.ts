import { Field, ObjectType } from 'type-graphql'
import { CheckpointType } from '../checkpoints/checkpoint.graphql.js'
import { SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import { ChainBreakType } from './chain-verification.graphql.js'
import type { AdminLogVerification } from './verify-admin-log.js'

@ObjectType('AdminLogVerification', { description: 'What verifying a chain of the admin log came to.' })
export class AdminLogVerificationType {
  constructor(private readonly verification: AdminLogVerification) {}

  @Field(() => Boolean, { description: 'Whether the whole chain verifies.' })
  get ok(): boolean {
    return this.verification.firstBreak === null
  }

  @Field(() => SafeIntScalar, { description: 'How many entries verify, up to the first break.' })
  get checkedEvents(): number {
    return this.verification.checkedEvents
  }

  @Field(() => SafeIntScalar, {
    description: 'Of these, entries after the checkpoint, which nothing signed tells of yet.',
  })
  get unsignedEvents(): number {
    return this.verification.unsignedEvents
  }

  @Field(() => Sha256Scalar, { nullable: true, description: 'The hash of the last entry that verifies.' })
  get headHash(): Buffer | null {
    const { headHash } = this.verification
    return headHash === null ? null : Buffer.from(headHash, 'hex')
  }

  @Field(() => CheckpointType, {
    nullable: true,
    description: 'The newest signed checkpoint, which the entries were held against.',
  })
  get checkpoint(): CheckpointType | null {
    return this.verification.checkpoint
  }

  @Field(() => ChainBreakType, { nullable: true, description: 'The first entry that does not verify, and why.' })
  get firstBreak(): ChainBreakType | null {
    const { firstBreak } = this.verification
    if (firstBreak === null) return null
    const { sequence, eventId, reason } = firstBreak
    return { sequence, reason, eventId: eventId === null ? null : encodeId('adminEvent', eventId) }
  }
}
