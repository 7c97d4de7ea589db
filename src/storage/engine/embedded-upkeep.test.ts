import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import { tidyTables } from './embedded-upkeep.ts'

test('a table that has changed is planned for as it is now, and its space is used again', async () => {
  const { sql: kysely, close } = await createTestDatabase()
  await sql`set enable_seqscan = on`.execute(kysely)
  await sql`create table t (id int primary key, n int)`.execute(kysely)
  const planOf = async (id: number) =>
    (await sql<{ 'QUERY PLAN': string }>`explain execute find(${sql.lit(id)})`.execute(kysely)).rows
      .map((row) => row['QUERY PLAN'])
      .join('\n')
  const size = async () =>
    (await sql<{ size: number }>`select pg_relation_size('t')::int as size`.execute(kysely)).rows[0]!.size
  const tidied = async () => {
    // Statistics are otherwise flushed once a second.
    await sql`select pg_stat_force_next_flush()`.execute(kysely)
    return tidyTables(kysely)
  }
  const refill = () => sql`insert into t select number, 1 from generate_series(1, 5000) as number`.execute(kysely)
  await sql`insert into t select number, 1 from generate_series(1, 60) as number`.execute(kysely)
  await tidied()
  await sql`prepare find (int) as select n from t where id = $1`.execute(kysely)
  expect(await planOf(1)).toContain('Seq Scan')
  await sql`delete from t`.execute(kysely)
  await refill()
  expect(await tidied()).toEqual(['t'])
  expect(await planOf(1)).toContain('Index Scan')
  const full = await size()
  await sql`delete from t`.execute(kysely)
  await tidied()
  await refill()
  expect(await size()).toBe(full)
  expect(await tidied()).toEqual(['t'])
  expect(await tidied()).toEqual([])
  await close()
})
