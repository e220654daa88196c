import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import { enrollTotp } from '../auth/enroll-totp.js'
import { signIn, type SignInDeps } from '../auth/sign-in.js'
import { signOut, signOutEverywhere } from '../auth/sign-out.js'
import type { GraphqlContext } from '../graphql/context.js'
import { UserType } from '../workspaces/user.graphql.js'
import {
  EnrollTotpInputType,
  EnrollTotpPayloadType,
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
}
