import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import { changePassword } from '../auth/change-password.js'
import { disableTotp } from '../auth/disable-totp.js'
import { enrollTotp } from '../auth/enroll-totp.js'
import { resetTotp } from '../auth/reset-totp.js'
import { signIn, type SignInDeps } from '../auth/sign-in.js'
import { signOut, signOutEverywhere } from '../auth/sign-out.js'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import { UserType } from '../workspaces/user.graphql.js'
import {
  ChangePasswordInputType,
  ChangePasswordPayloadType,
  DisableTotpInputType,
  DisableTotpPayloadType,
  EnrollTotpInputType,
  EnrollTotpPayloadType,
  ResetTotpInputType,
  ResetTotpPayloadType,
  SignInInputType,
  SignInPayloadType,
  SignOutEverywherePayloadType,
  SignOutPayloadType,
} from './session.graphql.js'

@Resolver()
export class SessionResolver {
  constructor(private readonly deps: SignInDeps) {}

  @Mutation(() => SignInPayloadType, { description: 'Dashboard sign-in: sets the HttpOnly session cookie.' })
  async signIn(
    @Arg('input', () => SignInInputType, { description: 'Who.' }) input: SignInInputType,
    @Ctx() { browser }: GraphqlContext,
  ): Promise<SignInPayloadType> {
    browser.requireOwnOrigin()
    const { clientIp, sessionToken: presentedToken } = browser
    const { user, token, expiresAt } = await signIn(this.deps, {
      email: input.email,
      password: input.password,
      totpCode: input.totpCode ?? null,
      clientIp,
      presentedToken,
    })
    browser.setSession(token, expiresAt)
    return { user: new UserType(user), expiresAt }
  }

  @Mutation(() => SignOutPayloadType, { description: 'Ends this session.' })
  async signOut(@Ctx() { viewer, browser }: GraphqlContext): Promise<SignOutPayloadType> {
    await signOut(this.deps, viewer)
    browser.clearSession()
    return { signedOut: true }
  }

  @Mutation(() => SignOutEverywherePayloadType, { description: 'Ends every session of the account, this one too.' })
  async signOutEverywhere(@Ctx() { viewer, browser }: GraphqlContext): Promise<SignOutEverywherePayloadType> {
    const sessions = await signOutEverywhere(this.deps, viewer)
    browser.clearSession()
    return { sessions }
  }

  @Mutation(() => EnrollTotpPayloadType, {
    description: 'Enrolls a second factor (RFC 6238) in two steps: the password gives a secret, a code of it confirms.',
  })
  async enrollTotp(
    @Arg('input', () => EnrollTotpInputType, { description: 'The step.' }) input: EnrollTotpInputType,
    @Ctx() { viewer, browser }: GraphqlContext,
  ): Promise<EnrollTotpPayloadType> {
    const { password = null, code = null } = input
    return enrollTotp(this.deps, viewer, { password, code, clientIp: browser.clientIp })
  }

  @Mutation(() => DisableTotpPayloadType, {
    description:
      'Takes the second factor off the account, by password and code, and ends its other sessions. Who has lost it asks staff: resetTotp.',
  })
  async disableTotp(
    @Arg('input', () => DisableTotpInputType, { description: 'Password and code.' }) input: DisableTotpInputType,
    @Ctx() { viewer, browser }: GraphqlContext,
  ): Promise<DisableTotpPayloadType> {
    const { password, code } = input
    return { endedSessions: await disableTotp(this.deps, viewer, { password, code, clientIp: browser.clientIp }) }
  }

  @Mutation(() => ResetTotpPayloadType, {
    description:
      'Takes the second factor off an account whose owner has lost it, and ends all its sessions. SUPER_ADMIN; in the admin log of its companies.',
  })
  async resetTotp(
    @Arg('input', () => ResetTotpInputType, { description: 'Whose, and why.' }) input: ResetTotpInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<ResetTotpPayloadType> {
    const userId = decodeId('user', input.userId, 'input.userId')
    return { endedSessions: await resetTotp(this.deps, viewer, { userId, reason: input.reason }) }
  }

  @Mutation(() => ChangePasswordPayloadType, {
    description: 'Gives the account another password, by the current one, and ends its other sessions.',
  })
  async changePassword(
    @Arg('input', () => ChangePasswordInputType, { description: 'Both passwords.' }) input: ChangePasswordInputType,
    @Ctx() { viewer, browser }: GraphqlContext,
  ): Promise<ChangePasswordPayloadType> {
    const { currentPassword, newPassword } = input
    const { clientIp } = browser
    return { endedSessions: await changePassword(this.deps, viewer, { currentPassword, newPassword, clientIp }) }
  }
}
