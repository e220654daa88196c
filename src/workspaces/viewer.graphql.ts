import { createUnionType, Field, ObjectType } from 'type-graphql'
import type { StaffViewer, UserViewer } from '../auth/viewer.js'
import type { ApiKeyFacts } from '../directory/facts.js'
import { StaffRoleEnum, UserType } from './user.graphql.js'

@ObjectType('ApiKeyViewer', { description: 'The caller is a program with an API key.' })
export class ApiKeyViewerType {
  constructor(readonly key: ApiKeyFacts) {}
}

@ObjectType('UserViewer', { description: 'The caller is a person, signed in at the dashboard.' })
export class UserViewerType {
  constructor(readonly viewer: UserViewer) {}

  @Field(() => UserType, { description: 'The account.' })
  get user(): UserType {
    return new UserType(this.viewer.user)
  }
}

@ObjectType('StaffViewer', {
  description: 'The caller is one of the staff of the service, signed in at the dashboard.',
})
export class StaffViewerType {
  constructor(readonly viewer: StaffViewer) {}

  @Field(() => UserType, { description: 'The account.' })
  get user(): UserType {
    return new UserType(this.viewer.user)
  }

  @Field(() => StaffRoleEnum, { description: 'What it may do.' })
  get staffRole(): StaffViewer['staffRole'] {
    return this.viewer.staffRole
  }

  @Field(() => Boolean, {
    description: 'A second factor is demanded of staff and this account has none: nothing goes but enrollTotp.',
  })
  get mustEnrollTotp(): boolean {
    return this.viewer.mustEnrollTotp
  }
}

@ObjectType('AnonymousViewer', {
  simpleResolvers: true,
  description: 'The caller is nobody: no credentials, or none that count.',
})
export class AnonymousViewerType {
  constructor(reason: string) {
    this.reason = reason
  }

  @Field(() => String, { description: 'Why the caller is nobody.' })
  readonly reason: string
}

export const ViewerUnion = createUnionType({
  name: 'Viewer',
  description: 'Who is calling.',
  types: () => [ApiKeyViewerType, UserViewerType, StaffViewerType, AnonymousViewerType] as const,
})
