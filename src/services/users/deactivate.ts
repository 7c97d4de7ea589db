import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { deleteDevicelessTokens } from '../../storage/access-tokens.ts'
import { deleteAllAccountData } from '../../storage/account-data.ts'
import { deleteCrossSigningKeys } from '../../storage/cross-signing-keys.ts'
import type { Tx } from '../../storage/database.ts'
import { deleteDelayedEvents } from '../../storage/delayed-events.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { noteErasure } from '../../storage/erasures.ts'
import { deleteFilters } from '../../storage/filters.ts'
import { enqueueJob } from '../../storage/jobs.ts'
import { deleteKeyBackups } from '../../storage/key-backups.ts'
import { deleteLoginTokens } from '../../storage/login-tokens.ts'
import { deleteOpenIdTokens } from '../../storage/openid-tokens.ts'
import { deleteProfile } from '../../storage/profiles.ts'
import { deletePushRules } from '../../storage/push-rules.ts'
import { deleteAllThreepids } from '../../storage/threepids.ts'
import { lockUser, markDeactivated } from '../../storage/users.ts'

/** The job of leaving all rooms of a user. */
export const LEAVE_ALL_ROOMS = 'leave_all_rooms'

/**
 * Ends an account for good: nobody can log in to it, and nobody else can have its name. `erase`: what it stored goes too, and who
 * joins its rooms later does not get to see what it sent (rooms/erased-events.ts).
 * Leaving its rooms is a job, which this returns. https://spec.matrix.org/v1.19/client-server-api/#account-deactivation
 */
export async function deactivateUser(
  app: Pick<App, 'database' | 'clock'>,
  { userId, erase }: { userId: UserId; erase: boolean },
): Promise<number> {
  const now = app.clock.now()
  return app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await markDeactivated(tx, { userId, erase, now })
    await deleteDevices(tx, userId, { except: [] })
    await deleteDevicelessTokens(tx, userId)
    await deleteLoginTokens(tx, userId)
    await deleteOpenIdTokens(tx, userId)
    await deleteAllThreepids(tx, userId)
    await deleteDelayedEvents(tx, userId)
    if (erase) {
      await eraseBelongings(tx, userId)
      await noteErasure(tx, userId)
    }
    return enqueueJob(tx, { kind: LEAVE_ALL_ROOMS, key: userId, payload: { user_id: userId }, now })
  })
}

async function eraseBelongings(tx: Tx, userId: UserId): Promise<void> {
  await deleteProfile(tx, userId)
  await deleteAllAccountData(tx, userId)
  await deletePushRules(tx, userId)
  await deleteFilters(tx, userId)
  await deleteKeyBackups(tx, userId)
  await deleteCrossSigningKeys(tx, userId)
}
