import { Field, ID, InputType, Int, ObjectType } from 'type-graphql'
import { DateTimeScalar } from '../graphql/scalars.js'
import { UserType } from '../workspaces/user.graphql.js'

@InputType('SignInInput', { description: 'Who signs in.' })
export class SignInInputType {
  @Field(() => String, { description: 'The e-mail address of the account.' })
  email!: string

  @Field(() => String, { description: 'Its password.' })
  password!: string

  @Field(() => String, { nullable: true, description: 'Needed once enrolled; TOTP_REQUIRED without.' })
  totpCode?: string | null
}

@ObjectType('SignInPayload', { simpleResolvers: true, description: 'That somebody is signed in.' })
export class SignInPayloadType {
  @Field(() => UserType, { description: 'The account.' })
  user!: UserType

  @Field(() => DateTimeScalar, {
    description: 'When the session ends at the latest; 30 minutes without a request end it before.',
  })
  expiresAt!: Date
}

@ObjectType('SignOutPayload', { simpleResolvers: true, description: 'That the session is over.' })
export class SignOutPayloadType {
  @Field(() => Boolean, { description: 'True.' })
  signedOut!: boolean
}

@ObjectType('SignOutEverywherePayload', { simpleResolvers: true, description: 'That every session is over.' })
export class SignOutEverywherePayloadType {
  @Field(() => Int, { description: 'How many there were, this one included.' })
  sessions!: number
}

@InputType('EnrollTotpInput', { description: 'Either the password, to begin, or a code, to confirm.' })
export class EnrollTotpInputType {
  @Field(() => String, { nullable: true, description: 'First step: the password of the account.' })
  password?: string | null

  @Field(() => String, { nullable: true, description: 'Second step: the code that the authenticator app shows.' })
  code?: string | null
}

@ObjectType('EnrollTotpPayload', { simpleResolvers: true, description: 'How far the enrollment is.' })
export class EnrollTotpPayloadType {
  @Field(() => Boolean, { description: 'True after the second step: from now on every sign-in needs a code.' })
  enrolled!: boolean

  @Field(() => String, {
    nullable: true,
    description: 'First step: the secret in base32. It is in this answer and nowhere else.',
  })
  secret!: string | null

  @Field(() => String, { nullable: true, description: 'First step: the same as an otpauth:// address, for a QR code.' })
  uri!: string | null
}

@InputType('ChangePasswordInput', { description: 'The password the account has, and the one it is to have.' })
export class ChangePasswordInputType {
  @Field(() => String, { description: 'The password of the account now.' })
  currentPassword!: string

  @Field(() => String, { description: 'The one from now on, at least 12 characters.' })
  newPassword!: string
}

@InputType('DisableTotpInput', { description: "What shows that it is the account's owner who asks." })
export class DisableTotpInputType {
  @Field(() => String, { description: 'The password of the account.' })
  password!: string

  @Field(() => String, { description: 'The code that the authenticator app shows.' })
  code!: string
}

@InputType('ResetTotpInput', { description: 'Who has lost the second factor.' })
export class ResetTotpInputType {
  @Field(() => ID, { description: 'The account; not the one of who asks.' })
  userId!: string

  @Field(() => String, { description: 'How it was made sure who asked: 1 to 500 characters, kept in the admin log.' })
  reason!: string
}

@ObjectType('ChangePasswordPayload', { simpleResolvers: true, description: 'That the account has another password.' })
export class ChangePasswordPayloadType {
  @Field(() => Int, { description: 'How many other sessions of the account ended.' })
  endedSessions!: number
}

@ObjectType('DisableTotpPayload', { simpleResolvers: true, description: 'That the account has no second factor.' })
export class DisableTotpPayloadType {
  @Field(() => Int, { description: 'How many other sessions of the account ended.' })
  endedSessions!: number
}

@ObjectType('ResetTotpPayload', { simpleResolvers: true, description: 'That the account has no second factor.' })
export class ResetTotpPayloadType {
  @Field(() => Int, { description: 'How many sessions of the account ended: all there were.' })
  endedSessions!: number
}
