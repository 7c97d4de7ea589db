import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { newTaskId } from '../../infra/concurrency/start-task.ts'
import { deleteCrossSigningKeys } from '../../storage/devices/cross-signing-keys.ts'
import { deleteCrossSigningReset } from '../../storage/devices/cross-signing-resets.ts'
import { deleteKeyBackups } from '../../storage/devices/key-backups.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import { beginTask } from '../../storage/jobs/tasks.ts'
import { clearPresence } from '../../storage/presence/presence.ts'
import { deleteNotifications } from '../../storage/push/notifications.ts'
import { deletePushRules } from '../../storage/push/push-rules.ts'
import { deleteDelayedEvents } from '../../storage/rooms/delayed-events.ts'
import { deleteReceipts } from '../../storage/rooms/receipts.ts'
import { deleteDepartures } from '../../storage/rooms/removal/room-departures.ts'
import { deleteNoticesRoom } from '../../storage/rooms/server-notices.ts'
import { deleteThreadSubscriptions } from '../../storage/rooms/thread-subscriptions.ts'
import { deleteLeavesOfUser } from '../../storage/rtc/delegated-leaves.ts'
import { eraseUpstreamLabels } from '../../storage/sign-in/upstream-links.ts'
import { deleteAllAccountData } from '../../storage/users/account-data.ts'
import { deleteRenewalToken } from '../../storage/users/account-validity.ts'
import { noteErasure } from '../../storage/users/erasures.ts'
import { deleteFilters } from '../../storage/users/filters.ts'
import { deleteOpenIdTokens } from '../../storage/users/openid-tokens.ts'
import { deleteProfile } from '../../storage/users/profiles.ts'
import { deleteSecondFactors } from '../../storage/users/second-factors.ts'
import { deleteAllThreepids } from '../../storage/users/threepids.ts'
import { lockUser, markDeactivated } from '../../storage/users/users.ts'
import { endSessions } from './log-out.ts'

/** The job that makes a user leave all rooms. */
export const LEAVE_ALL_ROOMS = 'leave_all_rooms'
/** The task and job that deletes what an erased user has sent. */
export const ERASE_USER = 'erase_user'

/**
 * Deactivates an account: nobody can log in to it or reuse its name. `erase` also deletes its data, hides its events
 * from users who join later (rooms/reading/erased-events.ts), and begins the task that deletes its files. Returns the
 * job that leaves its rooms.
 * https://spec.matrix.org/v1.19/client-server-api/#account-deactivation
 */
export async function deactivateUser(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { userId, erase }: { userId: UserId; erase: boolean },
): Promise<number> {
  const now = app.clock.now()
  if (!erase) return app.database.write((tx) => endAccount(tx, { userId, now }))
  const taskId = newTaskId(app)
  return app.database.write(async (tx) => {
    await eraseAccount(tx, { userId, taskId, now, redaction: null })
    return leaveLater(tx, userId, now)
  })
}

/** The redaction of an erased user's events; `by`: the administrator who has it done, null: an operator. */
export type ErasingRedaction = { by: UserId | null; reason: string | null }

/**
 * Erases an account as `deactivateUser` does, and optionally redacts its events, which it needs to be in its rooms for:
 * the task leaves them at its end. Returns the ID of the task and its job.
 */
export async function eraseUser(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { userId, redaction }: { userId: UserId; redaction: ErasingRedaction | null },
): Promise<{ taskId: string; job: number }> {
  const now = app.clock.now()
  const taskId = newTaskId(app)
  const job = await app.database.write((tx) => eraseAccount(tx, { userId, taskId, now, redaction }))
  return { taskId, job }
}

async function eraseAccount(
  tx: Tx,
  {
    userId,
    taskId,
    now,
    redaction,
  }: { userId: UserId; taskId: string; now: number; redaction: ErasingRedaction | null },
): Promise<number> {
  await closeAccount(tx, { userId, erase: true, now })
  await eraseBelongings(tx, userId)
  await noteErasure(tx, userId)
  const payload = { user_id: userId, redaction }
  return beginTask(tx, { taskId, action: ERASE_USER, resourceId: userId, payload, now })
}

/** Deactivates an account within a larger transaction. Returns the job that leaves its rooms. */
export async function endAccount(tx: Tx, { userId, now }: { userId: UserId; now: number }): Promise<number> {
  await closeAccount(tx, { userId, erase: false, now })
  return leaveLater(tx, userId, now)
}

/** Enqueues the job that leaves all rooms of a deactivated user, and returns it. */
export function leaveLater(tx: Tx, userId: UserId, now: number): Promise<number> {
  return enqueueJob(tx, { kind: LEAVE_ALL_ROOMS, key: userId, payload: { user_id: userId }, now })
}

async function closeAccount(tx: Tx, { userId, erase, now }: { userId: UserId; erase: boolean; now: number }) {
  await lockUser(tx, userId)
  await markDeactivated(tx, { userId, erase, now })
  await endSessions(tx, { userId })
  await deleteRenewalToken(tx, userId)
  await deleteOpenIdTokens(tx, userId)
  await deleteAllThreepids(tx, userId)
  await deleteCrossSigningReset(tx, userId)
  await deleteSecondFactors(tx, userId)
  await deleteDelayedEvents(tx, userId)
  await deleteLeavesOfUser(tx, userId)
}

async function eraseBelongings(tx: Tx, userId: UserId): Promise<void> {
  await deleteProfile(tx, userId)
  await deleteAllAccountData(tx, userId)
  await deletePushRules(tx, userId)
  await deleteFilters(tx, userId)
  await deleteKeyBackups(tx, userId)
  await deleteCrossSigningKeys(tx, userId)
  await eraseUpstreamLabels(tx, userId)
  await deleteThreadSubscriptions(tx, userId)
  await deleteDepartures(tx, userId)
  await deleteReceipts(tx, userId)
  await deleteNotifications(tx, userId)
  await deleteNoticesRoom(tx, userId)
  await clearPresence(tx, userId)
}
