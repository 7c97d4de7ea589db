import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import type { FigureProcessRow, FigureRow } from '../schema/figures.ts'

export type FigureTable = 'routes' | 'clients' | 'peers'

/**
 * Takes the smallest free number for a process that begins to collect figures; undefined if another process took it at
 * the same time.
 */
export async function takeProcessNumber(
  tx: Tx,
  { holder, now, until, host, pid, version }: Lease & Pick<FigureProcessRow, 'host' | 'pid' | 'version'>,
): Promise<number | undefined> {
  const { rows } = await sql<{ process: number }>`insert into figure_processes
      (process, holder, leased_until, host, pid, version, started_ts)
    select min(number), ${holder}, ${until}::bigint, ${host}, ${pid}::int, ${version}, ${now}::bigint
      from generate_series(1, (select count(*)::int + 1 from figure_processes)) as number
      where not exists (select 1 from figure_processes where process = number and leased_until > ${now}::bigint)
    on conflict (process) do update set holder = excluded.holder, leased_until = excluded.leased_until,
      host = excluded.host, pid = excluded.pid, version = excluded.version, started_ts = excluded.started_ts
      where figure_processes.leased_until <= ${now}::bigint
    returning process`.execute(tx.sql)
  return rows[0]?.process
}

/**
 * Stores the steps of a process and renews the lease of its number; false if another process has that by now, and then
 * stores nothing.
 */
export async function storeSteps(
  tx: Tx,
  { process, holder, until, steps }: { process: number; holder: string; until: number; steps: readonly FigureRow[] },
): Promise<boolean> {
  const { rows } = await sql`with renewed as (
      update figure_processes set leased_until = ${until}::bigint
      where process = ${process}::int and holder = ${holder} returning process
    ), stored as (${insertSteps(steps, sql`cross join renewed`)})
    select 1 from renewed`.execute(tx.sql)
  return rows.length > 0
}

/** Stores steps, such as those made of shorter ones. */
export async function insertFigures(tx: Tx, steps: readonly FigureRow[]): Promise<void> {
  if (steps.length > 0) await insertSteps(steps, sql``).execute(tx.sql)
}

function insertSteps(steps: readonly FigureRow[], condition: ReturnType<typeof sql>) {
  const column = <Value>(pick: (step: FigureRow) => Value): Value[] => steps.map(pick)
  return sql`insert into figures (resolution, step_ts, process, load, routes, clients, peers)
    select steps.* from unnest(${column((step) => step.resolution)}::int[], ${column((step) => step.step_ts)}::bigint[],
      ${column((step) => step.process)}::int[], ${column((step) => step.load)}::text[],
      ${column((step) => step.routes)}::text[], ${column((step) => step.clients)}::text[],
      ${column((step) => step.peers)}::text[]) as steps ${condition}
    on conflict do nothing`
}

/** A span of time in one resolution: from `from` to before `to`. */
export type FigureSpan = { resolution: number; from: number; to: number }

/** Returns the steps of all processes in a span. */
export async function loadSteps(db: Db, { resolution, from, to }: FigureSpan): Promise<FigureRow[]> {
  const { rows } = await sql<FigureRow>`select * from figures
    where resolution = ${resolution}::int and step_ts >= ${from}::bigint and step_ts < ${to}::bigint
    order by step_ts, process`.execute(db.sql)
  return rows
}

export type LoadOfStep = Pick<FigureRow, 'step_ts' | 'process' | 'load'>

/** Returns what all processes did in the steps of a span, in their order, without routes, clients and peers. */
export async function loadLoads(db: Db, { resolution, from, to }: FigureSpan): Promise<LoadOfStep[]> {
  const { rows } = await sql<LoadOfStep>`select step_ts, process, load from figures
    where resolution = ${resolution}::int and step_ts >= ${from}::bigint and step_ts < ${to}::bigint
    order by step_ts`.execute(db.sql)
  return rows
}

/** Returns what is known of the server as a whole in the steps of a span, in their order. */
export async function loadServerLoads(db: Db, { resolution, from, to }: FigureSpan): Promise<string[]> {
  const { rows } = await sql<{ load: string }>`select load from figures
    where resolution = ${resolution}::int and step_ts >= ${from}::bigint and step_ts < ${to}::bigint and process = 0
    order by step_ts`.execute(db.sql)
  return rows.map(({ load }) => load)
}

export type TableOfStep = Pick<FigureRow, 'step_ts' | 'process'> & { entries: string }

/** Returns the routes, clients or peers in the steps of a span. */
export async function loadTables(
  db: Db,
  { resolution, from, to, of }: FigureSpan & { of: FigureTable },
): Promise<TableOfStep[]> {
  const column = of === 'routes' ? sql`routes` : of === 'clients' ? sql`clients` : sql`peers`
  const { rows } = await sql<TableOfStep>`select step_ts, process, ${column} as entries from figures
    where resolution = ${resolution}::int and step_ts >= ${from}::bigint and step_ts < ${to}::bigint
      and ${column} is not null`.execute(db.sql)
  return rows
}

/** Returns the start of the first step at or after a time; undefined if there is none. */
export async function findFirstStep(db: Db, { resolution, from }: Omit<FigureSpan, 'to'>): Promise<number | undefined> {
  const { rows } = await sql<{ step_ts: number }>`select step_ts from figures
    where resolution = ${resolution}::int and step_ts >= ${from}::bigint order by step_ts limit 1`.execute(db.sql)
  return rows[0]?.step_ts
}

/** Deletes steps from before a time. */
export async function deleteSteps(
  tx: Tx,
  { resolution, before }: { resolution: number; before: number },
): Promise<void> {
  await sql`delete from figures where resolution = ${resolution}::int and step_ts < ${before}::bigint`.execute(tx.sql)
}

/** Returns the processes that have had a number, by number. */
export async function listFigureProcesses(db: Db): Promise<FigureProcessRow[]> {
  const { rows } = await sql<FigureProcessRow>`select * from figure_processes order by process`.execute(db.sql)
  return rows
}
