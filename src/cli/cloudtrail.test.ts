import { describe, expect, test } from 'vitest'
import { eventOfCloudTrail } from './cloudtrail.js'

const record = {
  eventVersion: '1.08',
  userIdentity: {
    type: 'IAMUser',
    principalId: 'AIDAEXAMPLE',
    arn: 'arn:aws:iam::111122223333:user/mara',
    accountId: '111122223333',
    userName: 'mara',
  },
  eventTime: '2023-07-10T12:00:00Z',
  eventSource: 's3.amazonaws.com',
  eventName: 'GetObject',
  awsRegion: 'eu-central-1',
  sourceIPAddress: '198.51.100.7',
  requestParameters: { bucketName: 'ledger-exports', key: 'july.csv' },
  responseElements: null,
  requestID: 'REQ1',
  eventID: 'e0b1c2d3-0000-4000-8000-000000000001',
  eventCategory: 'Data',
}

describe('eventOfCloudTrail', () => {
  test('takes actor, action, target, time and keys from where CloudTrail has them', () => {
    expect(eventOfCloudTrail(record)).toEqual({
      action: 's3:GetObject',
      category: 'Data',
      actor: { id: 'arn:aws:iam::111122223333:user/mara', name: 'mara' },
      target: { id: 'ledger-exports', type: 'AWS::S3::Bucket' },
      payload: {
        eventVersion: '1.08',
        userIdentity: record.userIdentity,
        awsRegion: 'eu-central-1',
        sourceIPAddress: '198.51.100.7',
        requestParameters: { bucketName: 'ledger-exports', key: 'july.csv' },
        eventID: 'e0b1c2d3-0000-4000-8000-000000000001',
      },
      occurredAt: '2023-07-10T12:00:00Z',
      traceId: 'REQ1',
      idempotencyKey: 'e0b1c2d3-0000-4000-8000-000000000001',
    })
  })

  test('prefers a listed resource to the request, and its type to the one its ARN shows', () => {
    const key = { ARN: 'arn:aws:kms:us-east-1:111122223333:key/1', type: 'AWS::KMS::Key' }
    expect(eventOfCloudTrail({ ...record, resources: [{}, key] })?.target).toEqual({ id: key.ARN, type: key.type })
    const instance = { ARN: 'arn:aws:ec2:us-east-1:111122223333:instance/i-1', accountId: '111122223333' }
    expect(eventOfCloudTrail({ ...record, resources: [instance] })?.target).toEqual({
      id: instance.ARN,
      type: 'ec2:instance',
    })
    const bucket = { ARN: 'arn:aws:s3:::ledger-exports' }
    expect(eventOfCloudTrail({ ...record, resources: [bucket] })?.target).toEqual({ id: bucket.ARN, type: 's3' })
  })

  test.each([
    ['an account of which only the principal is known', { type: 'IAMUser', principalId: 'AIDA2' }, { id: 'AIDA2' }],
    ['a service', { type: 'AWSService', invokedBy: 'rds.amazonaws.com' }, { id: 'rds.amazonaws.com' }],
    ['a caller without a type', { accountId: '1', invokedBy: 'ec2.amazonaws.com' }, { id: 'ec2.amazonaws.com' }],
    ['nobody but an account', { accountId: '111122223333' }, { id: '111122223333' }],
    [
      'an assumed role, named after the role and found by the session it was assumed for',
      {
        type: 'AssumedRole',
        principalId: 'AROA1:ann.lee@example.com',
        arn: 'arn:aws:sts::1:assumed-role/Auditor/ann.lee@example.com',
        sessionContext: { sessionIssuer: { userName: 'Auditor' } },
      },
      { id: 'arn:aws:sts::1:assumed-role/Auditor/ann.lee@example.com', email: 'ann.lee@example.com', name: 'Auditor' },
    ],
  ])('knows %s', (_, userIdentity, actor) => {
    expect(eventOfCloudTrail({ ...record, userIdentity })?.actor).toEqual(actor)
  })

  test('an ARN too long for an identifier gives way to the principal and stays whole in the payload', () => {
    const userIdentity = { arn: `arn:aws:sts::1:assumed-role/${'r'.repeat(300)}`, principalId: 'AROA9:x' }
    const event = eventOfCloudTrail({ ...record, userIdentity })
    expect(event?.actor).toEqual({ id: 'AROA9:x' })
    expect(event?.payload?.['userIdentity']).toEqual(userIdentity)
  })

  test('works without ARN, request parameters, request id and category', () => {
    const { eventSource, eventName, eventTime } = record
    expect(eventOfCloudTrail({ eventSource, eventName, eventTime, requestParameters: null })).toEqual({
      action: 's3:GetObject',
      category: 'Management',
      payload: {},
      occurredAt: '2023-07-10T12:00:00Z',
    })
    expect(eventOfCloudTrail({ eventSource, eventName, eventTime, managementEvent: false })?.category).toBe('Data')
  })

  test.each(['eventSource', 'eventName', 'eventTime'])('is null without %s', (member) => {
    expect(eventOfCloudTrail({ ...record, [member]: undefined })).toBeNull()
  })
})
