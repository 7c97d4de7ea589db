import { sql } from 'kysely'
import type { Json } from '../../core/pdu.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { TaskRow, TaskStatus } from '../schema/administration.ts'
import { enqueueJob } from './jobs.ts'

/** How long a task that has ended can be looked up. */
const KEPT_MS = 7 * 24 * 60 * 60_000

/**
 * Begins a task for an administrator: stores it, and enqueues the job of the kind `action` that does it. The job's
 * payload also has the `task_id`. Returns the job, which begins at `due`.
 */
export async function beginTask(
  tx: Tx,
  { taskId, action, resourceId, payload, now, due = now }: NewTask & { now: number; due?: number },
): Promise<number> {
  await sql`delete from tasks where changed_ts < ${now - KEPT_MS}::bigint
    and not exists (select 1 from jobs where jobs.kind = tasks.action and jobs.key = tasks.task_id)`.execute(tx.sql)
  await sql`insert into tasks (task_id, action, resource_id, status, created_ts, changed_ts, result)
    values (${taskId}, ${action}, ${resourceId}, 'scheduled', ${now}::bigint, ${now}::bigint, '{}')`.execute(tx.sql)
  return enqueueJob(tx, { kind: action, key: taskId, payload: { ...payload, task_id: taskId }, now: due })
}

export type NewTask = {
  /** Random. */
  taskId: string
  action: string
  /** The user or room that the task is about. */
  resourceId: string | null
  payload: Record<string, Json>
}

/** Stores how far a task is; `result` holds its progress or what came of it, `error` why it failed. */
export async function updateTask(
  tx: Tx,
  {
    taskId,
    status,
    result,
    now,
    error,
  }: { taskId: string; status: TaskStatus; result: Json; now: number; error?: string },
): Promise<void> {
  await sql`update tasks set status = ${status}, result = ${JSON.stringify(result)}, changed_ts = ${now}::bigint,
    error = ${error ?? null} where task_id = ${taskId}`.execute(tx.sql)
}

/**
 * Whether a task of a kind for this user or room has not ended. Holds a lock until the transaction ends, so that of two
 * requests only one begins a task.
 */
export async function isTaskUnderWay(tx: Tx, action: string, resourceId: string): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtext(${action}), hashtext(${resourceId}))`.execute(tx.sql)
  const wanted = { action, resourceId, statuses: ['scheduled', 'active'], until: null }
  return (await listTasks(tx, wanted, 1)).length > 0
}

/** A job that failed too often is dropped: its task has failed. */
const TASKS = sql`select task_id, action, resource_id, created_ts, changed_ts, result,
    case when is_lost then 'failed' else status end as status,
    case when is_lost then 'It failed too often, see the log of the server' else error end as error
  from (select tasks.*, status in ('scheduled', 'active') and not exists
    (select 1 from jobs where jobs.kind = tasks.action and jobs.key = tasks.task_id) as is_lost from tasks) as tasks`

/** Finds a task by its id. */
export async function findTask(db: Db, taskId: string): Promise<TaskRow | undefined> {
  const { rows } = await sql<TaskRow>`${TASKS} where task_id = ${taskId}`.execute(db.sql)
  return rows[0]
}

/** Which tasks a list has; null: any. `until`: those that began until then. */
export type TaskFilter = {
  action: string | readonly string[] | null
  resourceId: string | null
  statuses: readonly string[] | null
  until: number | null
}

/** Returns tasks, the newest first, from a place on. */
export async function listTasks(
  db: Db,
  { action, resourceId, statuses, until }: TaskFilter,
  limit: number,
  from = 0,
): Promise<TaskRow[]> {
  const { rows } = await sql<TaskRow>`select * from (${TASKS}) as tasks
    where created_ts <= ${until ?? Number.MAX_SAFE_INTEGER}::bigint
      ${action === null ? sql`` : sql`and action = any(${[action].flat()}::text[])`}
      ${resourceId === null ? sql`` : sql`and resource_id = ${resourceId}`}
      ${statuses === null ? sql`` : sql`and status = any(${statuses}::text[])`}
    order by created_ts desc, task_id limit ${limit}::int offset ${from}::bigint`.execute(db.sql)
  return rows
}

/**
 * Whether a task of a kind that is about no user or room began after a time. Holds a lock until the transaction ends,
 * so that only one process begins the next.
 */
export async function hasBegunSince(tx: Tx, action: string, since: number): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtext(${action}), 0)`.execute(tx.sql)
  const { rows } = await sql`select 1 from tasks where action = ${action} and resource_id is null
    and created_ts > ${since}::bigint limit 1`.execute(tx.sql)
  return rows.length > 0
}
