import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql'
import { NodeType } from '../graphql/node.graphql.js'
import { pageInfoOf, PageInfoType } from '../graphql/page-info.graphql.js'
import { RegionEnum } from '../graphql/region.graphql.js'
import { DateTimeScalar, SafeIntScalar } from '../graphql/scalars.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { UserType } from '../workspaces/user.graphql.js'
import { type GdprApprovalType, type GdprRequestType, type GdprStatus, WAITING_OBJECTS } from './gdpr-request.js'
import type { GdprRequestRecord } from './gdpr-request.store.js'
import type { GdprRequestPage } from './read-gdpr-requests.js'

export const GdprRequestTypeEnum = { ANONYMIZE: 'ANONYMIZE', DELETE: 'DELETE' } as const
registerEnumType(GdprRequestTypeEnum, {
  name: 'GdprRequestType',
  description: 'How a subject is to be erased.',
  valuesConfig: {
    ANONYMIZE: { description: 'Who it was goes, and what names it; what was done stays, under a pseudonym.' },
    DELETE: { description: "All that the subject's events disclose goes, and what mentions it in others'." },
  },
})

export const GdprRequestStatusEnum = {
  CUSTOMER_PENDING: 'CUSTOMER_PENDING',
  CUSTOMER_APPROVED: 'CUSTOMER_APPROVED',
  ADMIN_APPROVED: 'ADMIN_APPROVED',
  PROCESSING: 'PROCESSING',
  DONE: 'DONE',
  REJECTED: 'REJECTED',
  FAILED: 'FAILED',
} as const
registerEnumType(GdprRequestStatusEnum, {
  name: 'GdprRequestStatus',
  description: 'How far a request is.',
  valuesConfig: {
    CUSTOMER_PENDING: { description: 'Somebody else of the company has to agree.' },
    CUSTOMER_APPROVED: { description: 'Staff have to agree.' },
    ADMIN_APPROVED: { description: 'It is carried out within ten minutes.' },
    PROCESSING: {
      description: 'It is being carried out, or waits for a region that is down or for cold archives to be restored.',
    },
    DONE: { description: 'Nothing of the subject is left; the evidence says what was erased.' },
    REJECTED: { description: 'Somebody refused it.' },
    FAILED: { description: 'An error stopped it: retryGdprRequest.' },
  },
})

export const GdprApprovalTypeEnum = {
  CUSTOMER_APPROVAL: 'CUSTOMER_APPROVAL',
  ADMIN_APPROVAL: 'ADMIN_APPROVAL',
} as const
registerEnumType(GdprApprovalTypeEnum, {
  name: 'GdprApprovalType',
  description: 'Whose agreement it is.',
  valuesConfig: {
    CUSTOMER_APPROVAL: { description: "The company's, by an OWNER or ADMIN who did not ask for it." },
    ADMIN_APPROVAL: { description: "The service's, by staff." },
  },
})

@ObjectType('GdprApproval', { simpleResolvers: true, description: 'That somebody agreed to a request.' })
export class GdprApprovalObjectType {
  @Field(() => GdprApprovalTypeEnum, { description: 'Whose agreement it is.' })
  approvalType!: GdprApprovalType

  @Field(() => UserType, { description: 'Who agreed.' })
  approvedBy!: UserType

  @Field(() => DateTimeScalar, { description: 'When.' })
  createdAt!: Date
}

@ObjectType('GdprProgress', { simpleResolvers: true, description: 'How far a request is.' })
export class GdprProgressType {
  @Field(() => SafeIntScalar, { description: 'Events found so far that the subject did, or that mention it.' })
  matchedEvents!: number

  @Field(() => SafeIntScalar, { description: 'How many of them are erased.' })
  erasedEvents!: number
}

@ObjectType('ErasureEvidence', { simpleResolvers: true, description: 'What was erased from one store of one region.' })
export class ErasureEvidenceType {
  @Field(() => RegionEnum, { description: 'The region; for what lies in the control database, that of the events.' })
  region!: Region

  @Field(() => String, { description: 'What kind of store.' })
  store!: string

  @Field(() => SafeIntScalar, { description: 'How many records.' })
  records!: number

  @Field(() => DateTimeScalar, { description: 'When it was over.' })
  completedAt!: Date
}

@ObjectType('GdprRequest', { implements: NodeType, description: 'That a person is to be erased from the events.' })
export class GdprRequestObjectType implements NodeType {
  constructor(readonly record: GdprRequestRecord) {}

  @Field(() => ID, { description: 'The global id, gdpr_….' })
  get id(): string {
    return encodeId('gdprRequest', this.record.request.id)
  }

  @Field(() => GdprRequestTypeEnum, { description: 'How.' })
  get requestType(): GdprRequestType {
    return this.record.request.requestType
  }

  @Field(() => GdprRequestStatusEnum, { description: 'How far it is.' })
  get status(): GdprStatus {
    return this.record.request.status
  }

  @Field(() => String, { description: 'Masked, e.g. a***@example.com; a keyed digest once DONE.' })
  get subject(): string {
    return this.record.request.subject
  }

  @Field(() => UserType, { description: 'Who asked for it.' })
  get requestedBy(): UserType {
    return new UserType(this.record.requester)
  }

  @Field(() => [GdprApprovalObjectType], { description: 'Who agreed.' })
  get approvals(): GdprApprovalObjectType[] {
    return this.record.approvals.map(({ approval, approver }) => ({
      approvalType: approval.approvalType,
      approvedBy: new UserType(approver),
      createdAt: approval.createdAt,
    }))
  }

  @Field(() => DateTimeScalar, { description: 'When it was asked for.' })
  get createdAt(): Date {
    return this.record.request.createdAt
  }

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: "When it was done: everything of the subject's that was accepted before is erased.",
  })
  get completedAt(): Date | null {
    return this.record.request.completedAt
  }

  @Field(() => String, { nullable: true, description: 'Why it failed, or was rejected.' })
  get failure(): string | null {
    return this.record.request.failure
  }

  @Field(() => GdprProgressType, { description: 'How much of it is done.' })
  get progress(): GdprProgressType {
    const { matchedEvents, erasedEvents } = this.record.request
    return { matchedEvents, erasedEvents }
  }

  @Field(() => [ErasureEvidenceType], {
    nullable: true,
    description:
      'What was erased, per region and store; null until DONE, or until it waits for archive objects to be restored, which it lists as pending.',
  })
  get evidence(): readonly ErasureEvidenceType[] | null {
    const { request, evidence } = this.record
    const waits = evidence.some(({ store, records }) => store === WAITING_OBJECTS && records > 0)
    return request.status === 'DONE' || (request.status === 'PROCESSING' && waits) ? [...evidence] : null
  }
}

@ObjectType('GdprRequestEdge', { description: 'A request and its place in the list.' })
export class GdprRequestEdgeType {
  constructor(
    readonly record: GdprRequestRecord,
    readonly page: GdprRequestPage,
  ) {}

  @Field(() => String, { description: 'Names this place, for after and before.' })
  get cursor(): string {
    return this.page.cursorOf(this.record)
  }

  @Field(() => GdprRequestObjectType, { description: 'The request.' })
  get node(): GdprRequestObjectType {
    return new GdprRequestObjectType(this.record)
  }
}

@ObjectType('GdprRequestConnection', { description: 'A page of requests, newest first.' })
export class GdprRequestConnectionType {
  constructor(readonly page: GdprRequestPage) {}

  @Field(() => [GdprRequestEdgeType], { description: 'The requests of the page with their cursors.' })
  get edges(): GdprRequestEdgeType[] {
    return this.page.records.map((record) => new GdprRequestEdgeType(record, this.page))
  }

  @Field(() => [GdprRequestObjectType], { description: 'The requests of the page.' })
  get nodes(): GdprRequestObjectType[] {
    return this.page.records.map((record) => new GdprRequestObjectType(record))
  }

  @Field(() => PageInfoType, { description: 'Where the page lies in the list.' })
  get pageInfo(): PageInfoType {
    return pageInfoOf(this.page.records, this.page)
  }

  @Field(() => SafeIntScalar, { description: 'How many requests there are.' })
  totalCount(): Promise<number> {
    return this.page.total()
  }
}

@ObjectType('GdprRegionPreview', { simpleResolvers: true, description: 'What a request would touch in one region.' })
export class GdprRegionPreviewType {
  @Field(() => RegionEnum, { description: 'The region.' })
  region!: Region

  @Field(() => SafeIntScalar, { nullable: true, description: 'Events; null where the region does not answer now.' })
  events!: number | null
}

@ObjectType('GdprPreview', { simpleResolvers: true, description: 'What a request would touch, counted now.' })
export class GdprPreviewType {
  @Field(() => [GdprRegionPreviewType], {
    description:
      'Events that the subject did or was the target of, per region. What mentions it elsewhere is found when the work is done.',
  })
  regions!: readonly GdprRegionPreviewType[]
}

@InputType('CreateGdprRequestInput', {
  description: 'At least one of actorEmail and actorId; an event matches where either does.',
})
export class CreateGdprRequestInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => GdprRequestTypeEnum, { description: 'How.' })
  requestType!: GdprRequestType

  @Field(() => String, { nullable: true, description: "The subject's e-mail address, in any case." })
  actorEmail?: string | null

  @Field(() => String, { nullable: true, description: "The subject's id in the company's systems." })
  actorId?: string | null

  @Field(() => String, { nullable: true, description: 'Why; kept sealed, and destroyed with the request.' })
  reason?: string | null
}

@InputType('ApproveGdprRequestInput', { description: 'The request to agree to.' })
export class ApproveGdprRequestInputType {
  @Field(() => ID, { description: 'The request.' })
  gdprRequestId!: string
}

@InputType('RejectGdprRequestInput', { description: 'The request to refuse.' })
export class RejectGdprRequestInputType {
  @Field(() => ID, { description: 'The request.' })
  gdprRequestId!: string

  @Field(() => String, { description: 'Why: 1 to 500 characters, kept for ever. It must not name the subject.' })
  reason!: string
}

@InputType('RetryGdprRequestInput', { description: 'The request to go on with.' })
export class RetryGdprRequestInputType {
  @Field(() => ID, { description: 'The request, which is FAILED.' })
  gdprRequestId!: string
}

@ObjectType('GdprRequestPayload', { simpleResolvers: true, description: 'A request as it is now.' })
export class GdprRequestPayloadType {
  @Field(() => GdprRequestObjectType, { description: 'The request.' })
  gdprRequest!: GdprRequestObjectType
}

export const LegalHoldScopeEnum = { COMPANY: 'COMPANY', SUBJECT: 'SUBJECT' } as const
registerEnumType(LegalHoldScopeEnum, {
  name: 'LegalHoldScope',
  description: 'How much a legal hold keeps.',
  valuesConfig: {
    COMPANY: { description: 'Everything of the company.' },
    SUBJECT: { description: 'What is of one subject.' },
  },
})

@InputType('SetLegalHoldInput', { description: 'A hold to put on or release. Without identifiers, on the company.' })
export class SetLegalHoldInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => String, { nullable: true, description: "The subject's e-mail address." })
  actorEmail?: string | null

  @Field(() => String, { nullable: true, description: "The subject's id in the company's systems." })
  actorId?: string | null

  @Field(() => Boolean, { description: 'True puts the hold on, false releases it.' })
  active!: boolean

  @Field(() => String, { description: 'Why: 1 to 500 characters, kept for ever. It must not name the subject.' })
  reason!: string
}

@ObjectType('SetLegalHoldPayload', { simpleResolvers: true, description: 'What is in force now.' })
export class SetLegalHoldPayloadType {
  @Field(() => LegalHoldScopeEnum, { description: 'How much it keeps.' })
  scope!: 'COMPANY' | 'SUBJECT'

  @Field(() => Boolean, { description: 'Whether it is in force.' })
  active!: boolean
}

@InputType('SetFourEyesInput', { description: 'Whether somebody else has to give the approval of the company.' })
export class SetFourEyesInputType {
  @Field(() => ID, { description: 'The company.' })
  companyId!: string

  @Field(() => Boolean, { description: 'False only where the company has a single OWNER.' })
  required!: boolean
}

@ObjectType('SetFourEyesPayload', { simpleResolvers: true, description: 'What holds for requests from now on.' })
export class SetFourEyesPayloadType {
  @Field(() => Boolean, { description: 'Whether somebody else has to approve.' })
  required!: boolean
}
