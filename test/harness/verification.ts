import { expect } from 'vitest'
import type { World, WorldWorkspace } from './app.js'

export interface VerificationAnswer {
  readonly ok: boolean
  readonly checkedEvents: number
  readonly erasedEvents: number
  readonly linkOnlyEvents: number
  readonly fromSequence: number
  readonly toSequence: number
  readonly headHash: string | null
  readonly firstBreak: { readonly sequence: number; readonly eventId: string | null; readonly reason: string } | null
}

const query = `query ($id: ID!, $from: SafeInt, $to: SafeInt) {
  verifyChain(workspaceId: $id, fromSequence: $from, toSequence: $to) {
    ok checkedEvents erasedEvents linkOnlyEvents fromSequence toSequence headHash
    firstBreak { sequence eventId reason }
  }
}`

/** What the service says of a chain, asked with the workspace's key. */
export async function verdictOf(
  world: Pick<World, 'gql'>,
  workspace: Pick<WorldWorkspace, 'gid' | 'key'>,
  stretch: { readonly from?: number; readonly to?: number | null } = {},
): Promise<VerificationAnswer> {
  const { data, errors } = await world.gql(workspace.key, query, { id: workspace.gid, ...stretch })
  expect(errors).toBeUndefined()
  return data.verifyChain
}
