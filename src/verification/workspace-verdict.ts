import DataLoader from 'dataloader'
import type { Database } from '../db/database.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { findVerdicts, type KeptVerdict } from './chain-verification.store.js'

export type VerdictLoader = DataLoader<string, KeptVerdict>

/** The last verdicts on chains, for one request: one query, however many workspaces are shown. */
export const createVerdictLoader = (control: Database): VerdictLoader =>
  new DataLoader(async (workspaceIds) => {
    const found = await orControlUnavailable(() => findVerdicts(control, workspaceIds))
    const byWorkspace = new Map(found.map((verdict) => [verdict.workspaceId, verdict]))
    return workspaceIds.map(
      (workspaceId) => byWorkspace.get(workspaceId) ?? { workspaceId, status: 'UNVERIFIED', verifiedAt: null },
    )
  })
