import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { CompiledQuery } from 'kysely'
import type { Transaction } from './pooled-transaction.js'

/**
 * The transaction an entity manager is in, for statements of our own: they see and commit with what the entity manager
 * does. Values come back as MikroORM's connection parses them: times as text, bigint as text, bytea as Buffer. Only
 * inside `em.transactional`.
 */
export function transactionOf(em: SqlEntityManager): Transaction {
  if (!em.isInTransaction()) throw new Error('The entity manager is in no transaction.')
  return {
    async query<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
      const result = await em.getKysely().executeQuery(CompiledQuery.raw(sql, [...values]))
      return result.rows as Row[]
    },
  }
}
