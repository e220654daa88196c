import type { IngestEventInput } from '../sdk/index.js'

/** A record as CloudTrail delivers it; every member may be absent or of another type than documented. */
export type CloudTrailRecord = Readonly<Record<string, unknown>>

/** Identifiers longer than this are refused by the service. */
const identifierCharactersMax = 255

/** Members that the event's own fields carry. Not eventID: as an idempotency key it is forgotten in time. */
const mappedMembers = new Set(['eventTime', 'eventSource', 'eventName', 'requestID', 'eventCategory'])

/**
 * Request parameters that name what a call acts upon, most telling first, with the resource type (as AWS Config names
 * it) they stand for. Used where the record lists no resources.
 */
const targetParameters: readonly (readonly [parameter: string, type: string, service?: string])[] = [
  ['bucketName', 'AWS::S3::Bucket'],
  ['secretId', 'AWS::SecretsManager::Secret'],
  ['functionName', 'AWS::Lambda::Function'],
  ['instanceId', 'AWS::EC2::Instance'],
  ['dBInstanceIdentifier', 'AWS::RDS::DBInstance'],
  ['dBSnapshotIdentifier', 'AWS::RDS::DBSnapshot'],
  ['snapshotId', 'AWS::EC2::Snapshot'],
  ['volumeId', 'AWS::EC2::Volume'],
  ['groupId', 'AWS::EC2::SecurityGroup', 'ec2'],
  ['subnetId', 'AWS::EC2::Subnet'],
  ['routeTableId', 'AWS::EC2::RouteTable'],
  ['natGatewayId', 'AWS::EC2::NatGateway'],
  ['internetGatewayId', 'AWS::EC2::InternetGateway'],
  ['vpcId', 'AWS::EC2::VPC'],
  ['roleName', 'AWS::IAM::Role'],
  ['roleArn', 'AWS::IAM::Role'],
  ['instanceProfileName', 'AWS::IAM::InstanceProfile'],
  ['userName', 'AWS::IAM::User'],
  ['groupName', 'AWS::IAM::Group', 'iam'],
  ['policyArn', 'AWS::IAM::ManagedPolicy'],
  ['keyId', 'AWS::KMS::Key', 'kms'],
  ['trailName', 'AWS::CloudTrail::Trail'],
  ['name', 'AWS::CloudTrail::Trail', 'cloudtrail'],
  ['name', 'AWS::SSM::Parameter', 'ssm'],
  ['logGroupName', 'AWS::Logs::LogGroup'],
  ['tableName', 'AWS::DynamoDB::Table'],
  ['queueUrl', 'AWS::SQS::Queue'],
  ['topicArn', 'AWS::SNS::Topic'],
  ['clusterName', 'AWS::EKS::Cluster', 'eks'],
]

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** The text where it can be an identifier. One that is too long isn't cut: the payload has it whole. */
const identifierOf = (value: unknown): string | undefined => {
  const text = textOf(value)
  return text !== undefined && text.length <= identifierCharactersMax ? text : undefined
}

const emailShape = /^[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+$/

/** `s3` of `s3.amazonaws.com`; other sources as they are. */
const serviceOf = (source: string): string => source.replace(/[.]amazonaws[.]com$/, '')

/**
 * The actor: `userIdentity`'s ARN, else what names the caller best. An anonymous or service call has no ARN. The name
 * is the user's or, for an assumed role, the role's; a session named by an e-mail address (as single sign-on does)
 * gives the address, so that what a person did can be found and erased by it.
 */
function actorOf(identity: unknown): { id: string; email?: string; name?: string } | undefined {
  if (!isRecord(identity)) return undefined
  const context = isRecord(identity['sessionContext']) ? identity['sessionContext'] : {}
  const issuer = isRecord(context['sessionIssuer']) ? context['sessionIssuer'] : {}
  const id = [
    identity['arn'],
    identity['principalId'],
    identity['userName'],
    identity['invokedBy'],
    identity['accountId'],
    identity['type'],
  ]
    .map(identifierOf)
    .find((candidate) => candidate !== undefined)
  if (id === undefined) return undefined
  const name = identifierOf(identity['userName']) ?? identifierOf(issuer['userName'])
  const session = textOf(identity['principalId'])?.split(':').slice(1).join(':')
  const email = [identity['userName'], session].map(identifierOf).find((candidate) => emailShape.test(candidate ?? ''))
  return { id, ...(email === undefined ? {} : { email }), ...(name === undefined ? {} : { name }) }
}

/** `ec2:instance` of `arn:aws:ec2:us-east-1:1234:instance/i-0dbc`; the service alone where the ARN names no kind. */
function typeOfArn(arn: string): string | undefined {
  const [scheme, , service, , , ...resource] = arn.split(':')
  if (scheme !== 'arn' || service === undefined || service === '') return undefined
  const [kind] = resource.join(':').split(/[/:]/)
  return resource.join(':').search(/[/:]/) > 0 ? `${service}:${kind}` : service
}

function targetOf(record: CloudTrailRecord, service: string): { id: string; type?: string } | undefined {
  const resources: readonly unknown[] = Array.isArray(record['resources']) ? record['resources'] : []
  for (const resource of resources) {
    if (!isRecord(resource)) continue
    const id = identifierOf(resource['ARN']) ?? identifierOf(resource['ARNPrefix'])
    if (id === undefined) continue
    const type = textOf(resource['type']) ?? typeOfArn(id)
    return type === undefined ? { id } : { id, type }
  }
  const parameters = record['requestParameters']
  if (!isRecord(parameters)) return undefined
  for (const [parameter, type, only] of targetParameters) {
    const id = identifierOf(parameters[parameter])
    if (id !== undefined && (only === undefined || only === service)) return { id, type }
  }
  return undefined
}

/** Everything of the record that no field of the event carries, but for members that say nothing (null). */
function payloadOf(record: CloudTrailRecord): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).filter(([member, value]) => value !== null && !mappedMembers.has(member)),
  )
}

/**
 * The event that a CloudTrail record tells of, the same for the same record always; null where it lacks what makes it a
 * record (event source, name and time). `action` is `service:EventName` (`s3:GetObject`), `idempotencyKey` the
 * record's `eventID`, `traceId` its `requestID`, `category` its `eventCategory` (records before version 1.07 have
 * none: they are `Management`, or `Data` where they say that they are no management event).
 * Source: AWS CloudTrail user guide, "CloudTrail record contents".
 */
export function eventOfCloudTrail(record: CloudTrailRecord): IngestEventInput | null {
  const source = textOf(record['eventSource'])
  const name = textOf(record['eventName'])
  const occurredAt = textOf(record['eventTime'])
  if (source === undefined || name === undefined || occurredAt === undefined) return null
  const service = serviceOf(source)
  const actor = actorOf(record['userIdentity'])
  const target = targetOf(record, service)
  const traceId = identifierOf(record['requestID'])
  const idempotencyKey = identifierOf(record['eventID'])
  return {
    action: `${service}:${name}`,
    category: textOf(record['eventCategory']) ?? (record['managementEvent'] === false ? 'Data' : 'Management'),
    ...(actor === undefined ? {} : { actor }),
    ...(target === undefined ? {} : { target }),
    payload: payloadOf(record),
    occurredAt,
    ...(traceId === undefined ? {} : { traceId }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  }
}
