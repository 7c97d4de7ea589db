import { z } from 'zod'
import type { App } from '../../app.ts'
import { isUserId, type UserId } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import { startTask } from '../../infra/concurrency/start-task.ts'
import { findTask, updateTask } from '../../storage/jobs/tasks.ts'
import { loadUserMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { inEveryRoom } from '../rooms/timeline/in-every-room.ts'
import { findLocalUser } from '../users/account-moderation.ts'
import { leaveRoom } from './leave-room.ts'

/** The task and job that rejects the pending invites of a user. */
export const REJECT_INVITES = 'reject_invites'

/** Begins a task that rejects all pending invites of a user, and returns its ID. Throws as findLocalUser. */
export async function beginRejection(app: App, userId: UserId): Promise<string> {
  await findLocalUser(app, userId)
  const task = { action: REJECT_INVITES, resourceId: userId, payload: { user_id: userId } }
  return (await startTask(app, task)).taskId
}

const payload = z.object({ task_id: z.string(), user_id: z.string().refine(isUserId) })

/** Runs the job. Invites that are rejected already are gone, so that a job that runs again goes on where it was. */
export async function runRejection(app: App, job: Json): Promise<void> {
  const { task_id: taskId, user_id: userId } = payload.parse(job)
  const pending = async () => (await loadUserMemberships(app.database, userId, ['invite'])).length
  const { total = await pending() } = JSON.parse((await findTask(app.database, taskId))?.result ?? '{}')
  const save = async (status: 'active' | 'complete') => {
    const left = await pending()
    const result = { total, rejected: total - left, left }
    await app.database.write((tx) => updateTask(tx, { taskId, status, result, now: app.clock.now() }))
  }
  await save('active')
  const invites = { userId, memberships: ['invite'] as const, what: 'rejecting all invites' }
  await inEveryRoom(app, invites, (roomId) => leaveRoom(app, { userId, roomId, content: {} }))
  await save('complete')
}
