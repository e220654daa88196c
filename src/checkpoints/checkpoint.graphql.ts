import { Field, ObjectType } from 'type-graphql'
import { DateTimeScalar, SafeIntScalar, Sha256Scalar } from '../graphql/scalars.js'

@ObjectType('Checkpoint', {
  description: "What was signed of a workspace's Merkle tree. signedAt is ours, not covered by the signature.",
})
export class CheckpointType {
  @Field(() => SafeIntScalar, { description: 'How many events the tree had.' })
  readonly treeSize!: number

  @Field(() => Sha256Scalar, { description: 'The root of the tree.' })
  readonly rootHash!: Buffer

  @Field(() => DateTimeScalar, { description: 'When it was signed, by our clock.' })
  readonly signedAt!: Date

  @Field(() => String, { description: 'The C2SP signed note, byte for byte.' })
  readonly note!: string
}

@ObjectType('InclusionProof', {
  description: "Proof that an event is in its workspace's Merkle tree (RFC 6962, section 2.1.1).",
})
export class InclusionProofType {
  @Field(() => SafeIntScalar, { description: 'Position of the leaf, from 0: sequence − 1.' })
  readonly leafIndex!: number

  @Field(() => SafeIntScalar, { description: 'The size of the tree the proof is for.' })
  readonly treeSize!: number

  @Field(() => Sha256Scalar, { description: "The leaf: the event's hash." })
  readonly leafHash!: Buffer

  @Field(() => [Sha256Scalar], { description: 'The sibling nodes, from the leaf up.' })
  readonly hashes!: readonly Buffer[]

  @Field(() => CheckpointType, {
    nullable: true,
    description:
      'The newest; may be larger than treeSize: see consistencyProof. Null while no checkpoint covers treeSize yet.',
  })
  readonly checkpoint!: CheckpointType | null
}

@ObjectType('ConsistencyProof', {
  description: 'Proof that a Merkle tree begins with an earlier, smaller one (RFC 6962, section 2.1.2).',
})
export class ConsistencyProofType {
  @Field(() => SafeIntScalar, { description: 'The size of the earlier tree.' })
  readonly fromTreeSize!: number

  @Field(() => SafeIntScalar, { description: 'The size of the later tree.' })
  readonly toTreeSize!: number

  @Field(() => [Sha256Scalar], {
    description: 'The nodes that prove it; none where the sizes are equal or the first is 0.',
  })
  readonly hashes!: readonly Buffer[]
}
