import type { Transaction } from '../db/database.js'

/** Whom a hold is about: tags of identifiers; both null, the whole company. */
export interface HeldSubject {
  readonly actorIdTag: Buffer | null
  readonly actorEmailTag: Buffer | null
}

export interface NewLegalHold extends HeldSubject {
  readonly id: string
  readonly companyId: string
  readonly reason: string
  readonly createdBy: string
  readonly createdAt: Date
}

export async function insertLegalHold(tx: Transaction, hold: NewLegalHold): Promise<void> {
  await tx.query(
    `insert into legal_hold (id, company_id, actor_id_tag, actor_email_tag, whole_company, reason, created_by, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      hold.id,
      hold.companyId,
      hold.actorIdTag,
      hold.actorEmailTag,
      hold.actorIdTag === null && hold.actorEmailTag === null,
      hold.reason,
      hold.createdBy,
      hold.createdAt,
    ],
  )
}

/** Ends the holds in force on exactly this subject, or on the whole company; answers how many there were. */
export async function releaseLegalHolds(
  tx: Transaction,
  companyId: string,
  { actorIdTag, actorEmailTag }: HeldSubject,
  now: Date,
): Promise<number> {
  const rows = await tx.query(
    `update legal_hold set released_at = $4, actor_id_tag = null, actor_email_tag = null
     where company_id = $1 and released_at is null
       and actor_id_tag is not distinct from $2 and actor_email_tag is not distinct from $3 returning id`,
    [companyId, actorIdTag, actorEmailTag, now],
  )
  return rows.length
}

/** True where a hold in force is about one of these tags, or the whole company. */
export async function isHeld(
  tx: Pick<Transaction, 'query'>,
  companyId: string,
  tags: { readonly actorIds: readonly Buffer[]; readonly actorEmails: readonly Buffer[] },
): Promise<boolean> {
  const rows = await tx.query(
    `select id from legal_hold where company_id = $1 and released_at is null
       and (whole_company or actor_id_tag = any ($2::bytea[]) or actor_email_tag = any ($3::bytea[])) limit 1`,
    [companyId, tags.actorIds, tags.actorEmails],
  )
  return rows.length > 0
}
