import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { newTaskId } from '../../../infra/concurrency/start-task.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { delayJob, withdrawJob } from '../../../storage/jobs/jobs.ts'
import { beginTask, updateTask } from '../../../storage/jobs/tasks.ts'
import { findQuarantinedServer } from '../../../storage/media/quarantined-servers.ts'
import { deleteOldCopies, deleteOldUploads, type OldUploads } from '../delete-media.ts'
import { releaseServer } from './media-rules.ts'
import { quarantineMediaInRoom, quarantineMediaOfUser } from './quarantine-media.ts'

/** The task of an administrator's request, and the job that continues it if the process dies. */
export const MEDIA_WORK = 'media_work'

/** The job begins after this time: the request does the work itself, and postpones the job as long as it does. */
const HEAD_START_MS = 6000
const POSTPONE_MS = 2000

const id = <Id extends string>() => z.string().transform((text) => text as Id)
const mediaWork = z.discriminatedUnion('work', [
  z.object({ work: z.literal('quarantine_user'), user_id: id<UserId>(), by: id<UserId>() }),
  z.object({ work: z.literal('quarantine_room'), room_id: id<RoomId>(), by: id<UserId>() }),
  z.object({
    work: z.literal('delete_uploads'),
    before: z.int(),
    size_above: z.int(),
    keep_avatars: z.boolean(),
  }),
  z.object({ work: z.literal('delete_copies'), before: z.int() }),
  z.object({ work: z.literal('release_server'), server_name: id<ServerName>() }),
])
type MediaWork = z.output<typeof mediaWork>
const ofTask = z.object({ task_id: z.string() })

/** As `quarantineMediaOfUser`; another process continues if this one dies. */
export function quarantineUser(app: App, userId: UserId, by: UserId): Promise<number> {
  const work = { work: 'quarantine_user', user_id: userId, by } as const
  return resumably(app, work, () => quarantineMediaOfUser(app, userId, by))
}

/** As `quarantineMediaInRoom`; another process continues if this one dies. */
export function quarantineRoom(app: App, roomId: RoomId, by: UserId): Promise<number> {
  const work = { work: 'quarantine_room', room_id: roomId, by } as const
  return resumably(app, work, () => quarantineMediaInRoom(app, roomId, by))
}

/** As `deleteOldUploads`; another process continues if this one dies. */
export function deleteUploads(app: App, old: OldUploads): Promise<string[]> {
  const { before, sizeAbove: size_above, keepAvatars: keep_avatars } = old
  return resumably(app, { work: 'delete_uploads', before, size_above, keep_avatars }, () => deleteOldUploads(app, old))
}

/** As `deleteOldCopies`; another process continues if this one dies. */
export function deleteCopies(app: App, before: number): Promise<number> {
  return resumably(app, { work: 'delete_copies', before }, () => deleteOldCopies(app, before))
}

/** Ends the quarantine of all media of a server; another process continues if this one dies. Throws M_NOT_FOUND. */
export async function unquarantineServer(app: App, serverName: ServerName): Promise<void> {
  if (!(await findQuarantinedServer(app.database, serverName)))
    throw new NotFoundError('The media of this server are not quarantined')
  await resumably(app, { work: 'release_server', server_name: serverName }, () => releaseServer(app, serverName))
}

/** Does the work of a job. `job`: its payload. */
export async function continueMediaWork(app: App, job: Json): Promise<void> {
  const work = mediaWork.parse(job)
  const { task_id: taskId } = ofTask.parse(job)
  const result = await doWork(app, work)
  // It stops early when the server stops.
  app.stopping.throwIfAborted()
  await app.database.write((tx) => saveWork(app, tx, { taskId, work, result }))
}

function doWork(app: App, work: MediaWork): Promise<number | string[]> {
  switch (work.work) {
    case 'quarantine_user':
      return quarantineMediaOfUser(app, work.user_id, work.by)
    case 'quarantine_room':
      return quarantineMediaInRoom(app, work.room_id, work.by)
    case 'delete_uploads':
      return deleteOldUploads(app, {
        before: work.before,
        sizeAbove: work.size_above,
        keepAvatars: work.keep_avatars,
      })
    case 'delete_copies':
      return deleteOldCopies(app, work.before)
    case 'release_server':
      return releaseServer(app, work.server_name)
  }
}

/** Runs work that may take long, as a task whose job continues if it does not end. The work is idempotent. */
async function resumably<Result extends number | string[]>(
  app: App,
  work: MediaWork,
  run: () => Promise<Result>,
): Promise<Result> {
  const taskId = newTaskId(app)
  const due = () => app.clock.now() + HEAD_START_MS
  const task = { taskId, action: MEDIA_WORK, resourceId: subjectOf(work), payload: work }
  const jobNid = await app.database.write(async (tx) => {
    const job = await beginTask(tx, { ...task, now: app.clock.now(), due: due() })
    await saveWork(app, tx, { taskId, work })
    return job
  })
  const postponing = repeat(
    app,
    { every: POSTPONE_MS, first: POSTPONE_MS, failure: 'postponing of media work failed' },
    () => app.database.write((tx) => delayJob(tx, jobNid, due())),
  )
  try {
    const result = await run()
    app.stopping.throwIfAborted()
    await app.database.write(async (tx) => {
      await withdrawJob(tx, jobNid)
      await saveWork(app, tx, { taskId, work, result })
    })
    return result
  } finally {
    await postponing.stop()
  }
}

/** The user, room or server that the work is about. */
function subjectOf(work: MediaWork): string | null {
  if ('user_id' in work) return work.user_id
  if ('server_name' in work) return work.server_name
  return 'room_id' in work ? work.room_id : null
}

/** Stores what the task does, and without a result that it is under way. */
function saveWork(
  { clock }: Pick<App, 'clock'>,
  tx: Tx,
  { taskId, work: { work }, result }: { taskId: string; work: MediaWork; result?: number | string[] },
): Promise<void> {
  const media = typeof result === 'number' ? result : result?.length
  const status = media === undefined ? 'active' : 'complete'
  return updateTask(tx, { taskId, status, result: { work, ...(media !== undefined && { media }) }, now: clock.now() })
}
