import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { isUserId, type UserId } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { findTask, listTasks, updateTask } from '../../storage/jobs/tasks.ts'
import { countQuarantinedOfUser, findMediaToErase } from '../../storage/media/local-media.ts'
import { loadUserMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import type { TaskStatus } from '../../storage/schema/administration.ts'
import { findUser } from '../../storage/users/users.ts'
import { deleteLocalMedia } from '../media/delete-media.ts'
import { redactInRooms } from '../rooms/sending/redact-user.ts'
import { ERASE_USER, type ErasingRedaction, leaveLater } from '../users/deactivate.ts'

const MEDIA_AT_ONCE = 100
const MOST_EVENTS = 1_000_000

const userId = z.string().refine(isUserId)
const payload = z.object({
  task_id: z.string(),
  user_id: userId,
  redaction: z.object({ by: userId.nullable(), reason: z.string().nullable() }).nullable(),
})

/** Data that was deleted with the account, before the task begins: services/users/deactivate.ts. */
const DELETED = [
  ...['profile', 'account data', 'push rules', 'filters', 'key backups', 'cross-signing keys', 'devices', 'receipts'],
  ...['third-party identifiers', 'notifications', 'thread subscriptions', 'presence status', 'second factors'],
]

/** The report of an erasure. */
type Report = {
  deleted: string[]
  media_deleted: number
  /** Quarantined files, which stay. */
  media_kept: number
  redacted: number
  failed_redactions: Record<string, string>
  rooms_left: number
}

/**
 * Runs the job of an erasure: redacts the user's events if that is wanted, deletes the files, and then has all rooms
 * left. A job that runs again goes on where it was. If the account is active again, the task is cancelled: the account
 * keeps what it still has, and what it gets from then on.
 */
export async function runErasure(app: App, job: Json): Promise<void> {
  const wanted = payload.parse(job)
  const task = await findTask(app.database, wanted.task_id)
  const before = JSON.parse(task?.result ?? '{}') as Partial<Report>
  const begin = { media_deleted: 0, media_kept: 0, redacted: 0, failed_redactions: {}, rooms_left: 0, ...before }
  const report: Report = { ...begin, deleted: [...DELETED] }
  const store = (tx: Tx, status: TaskStatus, result: Report) =>
    updateTask(tx, { taskId: wanted.task_id, status, result, now: app.clock.now() })
  const storeUnlessActive = async (tx: Tx, status: TaskStatus, result: Report) => {
    if ((await findUser(tx, wanted.user_id))?.deactivated_ts === null) throw new ReactivatedError()
    await store(tx, status, result)
  }
  try {
    await eraseRest(app, wanted, { report, store: storeUnlessActive })
  } catch (error) {
    if (!(error instanceof ReactivatedError)) throw error
    await app.database.write((tx) => store(tx, 'cancelled', report))
  }
}

/** Ends an erasure in the middle: the account is active again. Never leaves this file. */
class ReactivatedError extends Error {}

type Store = (tx: Tx, status: TaskStatus, result: Report) => Promise<void>
type Erasing = { report: Report; store: Store }

/** Throws ReactivatedError, from the transaction of each step, if the account is active again. */
async function eraseRest(
  app: App,
  { user_id: id, redaction }: z.output<typeof payload>,
  { report, store }: Erasing,
): Promise<void> {
  const save = () => app.database.write((tx) => store(tx, 'active', report))
  await save()
  if (redaction) await redactAll(app, id, { ...redaction, report, save })
  await deleteAllMedia(app, id, { report, store })
  report.media_kept = await countQuarantinedOfUser(app.database, id)
  await app.database.write(async (tx) => {
    await leaveLater(tx, id, app.clock.now())
    await store(tx, 'complete', report)
  })
}

async function redactAll(
  app: App,
  id: UserId,
  { by, reason, report, save }: ErasingRedaction & { report: Report; save: () => Promise<void> },
): Promise<void> {
  const memberships = await loadUserMemberships(app.database, id, ['join', 'ban'])
  const rooms = memberships.map(({ room_id }) => room_id)
  report.rooms_left = rooms.length
  const how = { by, rooms, reason, limit: MOST_EVENTS, as_admin: false, before_ts: null, after_ts: null }
  await redactInRooms(app, { wanted: { user_id: id, ...how }, progress: report, save })
}

/** Counted in the transaction of the deletion: the process may die at any time. */
async function deleteAllMedia(app: App, id: UserId, { report, store }: Erasing): Promise<void> {
  for (;;) {
    app.stopping.throwIfAborted()
    const ids = await findMediaToErase(app.database, id, MEDIA_AT_ONCE)
    if (ids.length === 0) return
    const before = report.media_deleted
    const deleted = await deleteLocalMedia(app, ids, (tx, count) =>
      store(tx, 'active', { ...report, media_deleted: before + count }),
    )
    report.media_deleted = before + deleted.length
  }
}

/** Returns the report of the latest erasure of a user. Throws M_NOT_FOUND. */
export async function findErasure({ database }: Pick<App, 'database'>, id: UserId) {
  const filter = { action: ERASE_USER, resourceId: id, statuses: null, until: null }
  const [task] = await listTasks(database, filter, 1)
  if (!task) throw new NotFoundError('There is no erasure of this user, or it ended long ago')
  const { task_id, status, result, error } = task
  return { task_id, status, report: JSON.parse(result), ...(error !== null && { error }) }
}
