import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { FigureUpkeepRow } from '../schema/figures.ts'

/** By resolution: the time before which its steps have been made of shorter ones, in milliseconds since 1970. */
export type DoneSteps = Readonly<Record<string, number>>

/**
 * Takes the upkeep of figures, if it is due and no other process is at it, until the transaction ends. It is due again
 * at `next`. A due time after `latest` is of a clock that was wrong. `dueTs`: since when it was due.
 */
export async function takeUpkeep(
  tx: Tx,
  { now, next, latest }: { now: number; next: number; latest: number },
): Promise<{ done: DoneSteps; dueTs: number; slowDueTs: number } | undefined> {
  const { rows } = await sql<
    Pick<FigureUpkeepRow, 'done' | 'slow_due_ts'> & { was_due_ts: number }
  >`update figure_upkeep
    set due_ts = ${next}::bigint
    from (select only_row, due_ts as was_due_ts from figure_upkeep
      where due_ts <= ${now}::bigint or due_ts > ${latest}::bigint for update skip locked) as due
    where figure_upkeep.only_row = due.only_row
    returning done, was_due_ts, slow_due_ts`.execute(tx.sql)
  return rows[0] && { done: JSON.parse(rows[0].done), dueTs: rows[0].was_due_ts, slowDueTs: rows[0].slow_due_ts }
}

/** Stores how far the upkeep has come. */
export async function storeUpkeep(tx: Tx, { done, slowDueTs }: { done: DoneSteps; slowDueTs: number }): Promise<void> {
  await sql`update figure_upkeep set done = ${JSON.stringify(done)}, slow_due_ts = ${slowDueTs}::bigint`.execute(tx.sql)
}

/** Returns how far steps have been made of shorter ones. */
export async function loadDoneSteps(db: Db): Promise<DoneSteps> {
  const { rows } = await sql<{ done: string }>`select done from figure_upkeep`.execute(db.sql)
  return JSON.parse(rows[0]?.done ?? '{}')
}
