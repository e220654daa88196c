import type { GraphQLResolveInfo } from 'graphql'
import { Arg, Args, Ctx, FieldResolver, ID, Info, Mutation, Query, Resolver, Root } from 'type-graphql'
import { admitSession } from '../auth/permissions.js'
import { type GraphqlContext, present } from '../graphql/context.js'
import { PageArgs, requestedPage } from '../graphql/page-args.graphql.js'
import { decodeId } from '../kernel/ids.js'
import { CompanyType } from '../workspaces/company.graphql.js'
import { createGdprRequest } from './create-gdpr-request.js'
import { approveGdprRequest, rejectGdprRequest, retryGdprRequest } from './decide-gdpr-request.js'
import type { GdprListDeps } from './gdpr-deps.js'
import type { GdprStatus } from './gdpr-request.js'
import type { GdprRequestRecord } from './gdpr-request.store.js'
import {
  ApproveGdprRequestInputType,
  CreateGdprRequestInputType,
  GdprPreviewType,
  GdprRequestConnectionType,
  GdprRequestObjectType,
  GdprRequestPayloadType,
  GdprRequestStatusEnum,
  RejectGdprRequestInputType,
  RetryGdprRequestInputType,
  SetFourEyesInputType,
  SetFourEyesPayloadType,
  SetLegalHoldInputType,
  SetLegalHoldPayloadType,
} from './gdpr.graphql.js'
import { getGdprRequest, listGdprRequests, previewGdprRequest } from './read-gdpr-requests.js'
import { setFourEyes } from './set-four-eyes.js'
import { setLegalHold } from './set-legal-hold.js'

const company = (id: string, field = 'input.companyId'): string => decodeId('company', id, field)
const request = (id: string, field = 'input.gdprRequestId'): string => decodeId('gdprRequest', id, field)
const payload = (record: GdprRequestRecord): GdprRequestPayloadType => ({
  gdprRequest: new GdprRequestObjectType(record),
})

// The operations take a person at the dashboard: admitSession is the only way from a viewer to one.
@Resolver(() => GdprRequestObjectType)
export class GdprResolver {
  constructor(private readonly deps: GdprListDeps) {}

  @Query(() => GdprRequestObjectType, {
    nullable: true,
    description: 'One request; null where it does not exist or is not for the caller to see.',
  })
  async gdprRequest(
    @Arg('id', () => ID, { description: 'Its global id.' }) id: string,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprRequestObjectType | null> {
    const record = await getGdprRequest(this.deps, admitSession(viewer, 'gdprRequest'), request(id, 'id'))
    return record === null ? null : new GdprRequestObjectType(record)
  }

  @Query(() => GdprRequestConnectionType, {
    description: 'Requests, newest first: of a company, or of all the caller administers; to staff, of all there are.',
  })
  async gdprRequests(
    @Arg('companyId', () => ID, { nullable: true, description: 'The company.' }) companyId: string | null = null,
    @Arg('status', () => GdprRequestStatusEnum, { nullable: true, description: 'Only those in this status.' })
    status: GdprStatus | null = null,
    @Args(() => PageArgs) args: PageArgs,
    @Ctx() { viewer }: GraphqlContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<GdprRequestConnectionType> {
    const session = admitSession(viewer, 'gdprRequests')
    const uuid = companyId === null ? null : company(companyId, 'companyId')
    const page = requestedPage(args, info)
    return new GdprRequestConnectionType(await listGdprRequests(this.deps, session, { companyId: uuid, status, page }))
  }

  @Query(() => GdprPreviewType, { description: 'How many events a request would touch, before anybody approves it.' })
  async gdprPreview(
    @Arg('gdprRequestId', () => ID, { description: 'The request.' }) gdprRequestId: string,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprPreviewType> {
    const session = admitSession(viewer, 'gdprPreview')
    return { regions: await previewGdprRequest(this.deps, session, request(gdprRequestId, 'gdprRequestId')) }
  }

  @FieldResolver(() => CompanyType, { description: 'The company whose events it is about.' })
  async company(@Root() { record }: GdprRequestObjectType, @Ctx() { loaders }: GraphqlContext): Promise<CompanyType> {
    return new CompanyType(present(await loaders.company.load(record.request.companyId)))
  }

  @Mutation(() => GdprRequestPayloadType, {
    description:
      'Asks for a person to be erased from the events of a company. OWNER or ADMIN, at the dashboard. An open request for the same subject is answered instead.',
  })
  async createGdprRequest(
    @Arg('input', () => CreateGdprRequestInputType, { description: 'Whom, and how.' })
    input: CreateGdprRequestInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprRequestPayloadType> {
    const session = admitSession(viewer, 'createGdprRequest')
    return payload(await createGdprRequest(this.deps, session, { ...input, companyId: company(input.companyId) }))
  }

  @Mutation(() => GdprRequestPayloadType, {
    description:
      'A company OWNER or ADMIN gives the customer approval, staff (SUPER_ADMIN, PRIVACY_ADMIN) the admin approval, in that order; nobody approves a request of their own.',
  })
  async approveGdprRequest(
    @Arg('input', () => ApproveGdprRequestInputType, { description: 'Which.' }) input: ApproveGdprRequestInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprRequestPayloadType> {
    const session = admitSession(viewer, 'approveGdprRequest')
    return payload(await approveGdprRequest(this.deps, session, request(input.gdprRequestId)))
  }

  @Mutation(() => GdprRequestPayloadType, {
    description: 'Refuses a request that is not being carried out yet. OWNER or ADMIN, or staff.',
  })
  async rejectGdprRequest(
    @Arg('input', () => RejectGdprRequestInputType, { description: 'Which, and why.' })
    input: RejectGdprRequestInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprRequestPayloadType> {
    const session = admitSession(viewer, 'rejectGdprRequest')
    const { gdprRequestId, reason } = input
    return payload(await rejectGdprRequest(this.deps, session, { id: request(gdprRequestId), reason }))
  }

  @Mutation(() => GdprRequestPayloadType, {
    description: 'Goes on with a request that failed. Staff (SUPER_ADMIN, PRIVACY_ADMIN).',
  })
  async retryGdprRequest(
    @Arg('input', () => RetryGdprRequestInputType, { description: 'Which.' }) input: RetryGdprRequestInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<GdprRequestPayloadType> {
    const session = admitSession(viewer, 'retryGdprRequest')
    return payload(await retryGdprRequest(this.deps, session, request(input.gdprRequestId)))
  }

  @Mutation(() => SetLegalHoldPayloadType, {
    description:
      'Puts a legal hold on a company or one subject of it, or releases it: meanwhile requests about it are refused with LEGAL_HOLD, and those approved wait. Staff (SUPER_ADMIN, PRIVACY_ADMIN).',
  })
  async setLegalHold(
    @Arg('input', () => SetLegalHoldInputType, { description: 'The hold.' }) input: SetLegalHoldInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<SetLegalHoldPayloadType> {
    const session = admitSession(viewer, 'setLegalHold')
    return setLegalHold(this.deps, session, { ...input, companyId: company(input.companyId) })
  }

  @Mutation(() => SetFourEyesPayloadType, {
    description:
      'Says whether the customer approval has to be given by somebody else than who asked. OWNER only, and off only in a company with a single OWNER.',
  })
  async setFourEyes(
    @Arg('input', () => SetFourEyesInputType, { description: 'What is to hold.' }) input: SetFourEyesInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<SetFourEyesPayloadType> {
    const session = admitSession(viewer, 'setFourEyes')
    const { required } = input
    await setFourEyes(this.deps, session, { companyId: company(input.companyId), required })
    return { required }
  }
}
