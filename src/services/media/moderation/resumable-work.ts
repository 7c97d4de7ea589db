import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { enqueueJob, withdrawJob } from '../../../storage/jobs/jobs.ts'
import { deleteOldCopies, deleteOldUploads, type OldUploads } from '../delete-media.ts'
import { quarantineMediaInRoom, quarantineMediaOfUser } from './quarantine-media.ts'

/** The kind of job that continues the work of an administrator's request whose process died. */
export const MEDIA_WORK = 'media_work'

/** The job begins after this time, because the request usually does the work itself. */
const HEAD_START_MS = 2 * 60_000

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
])
type MediaWork = z.output<typeof mediaWork>

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

/** Does the work of a job. `job`: its payload. */
export async function continueMediaWork(app: App, job: Json): Promise<void> {
  const given = mediaWork.parse(job)
  switch (given.work) {
    case 'quarantine_user':
      await quarantineMediaOfUser(app, given.user_id, given.by)
      break
    case 'quarantine_room':
      await quarantineMediaInRoom(app, given.room_id, given.by)
      break
    case 'delete_uploads':
      await deleteOldUploads(app, {
        before: given.before,
        sizeAbove: given.size_above,
        keepAvatars: given.keep_avatars,
      })
      break
    case 'delete_copies':
      await deleteOldCopies(app, given.before)
  }
  // It stops early when the server stops.
  app.stopping.throwIfAborted()
}

/** Runs work that may take long, and leaves a job for it if it does not end. The work is idempotent. */
async function resumably<Result>(app: App, payload: MediaWork, run: () => Promise<Result>): Promise<Result> {
  const due = app.clock.now() + HEAD_START_MS
  const job = { kind: MEDIA_WORK, key: JSON.stringify(payload), payload, now: due }
  const jobNid = await app.database.write((tx) => enqueueJob(tx, job))
  const result = await run()
  app.stopping.throwIfAborted()
  await app.database.write((tx) => withdrawJob(tx, jobNid))
  return result
}
