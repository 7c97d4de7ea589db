import type { App } from '../../app.ts'
import { deleteAccessToken, deleteDevicelessTokens } from '../../storage/access-tokens.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { deleteLoginTokens } from '../../storage/login-tokens.ts'
import type { Session } from './session.ts'

/** Ends a session: its device goes with all its tokens. */
export async function logOut(app: Pick<App, 'database'>, session: Session): Promise<void> {
  const { userId, deviceId, tokenHash } = session
  await app.database.write(async (tx) => {
    if (deviceId === null) await deleteAccessToken(tx, tokenHash)
    else await deleteDevices(tx, userId, { only: [deviceId] })
  })
}

/** Ends all sessions of a user, those that a login token could still begin too; `keep`: but for this one. */
export async function logOutEverywhere(
  app: Pick<App, 'database'>,
  { userId, keep }: { userId: Session['userId']; keep?: Session | undefined },
): Promise<void> {
  const kept = keep?.deviceId
  await app.database.write(async (tx) => {
    await deleteDevices(tx, userId, { except: kept ? [kept] : [] })
    if (!keep || kept) await deleteDevicelessTokens(tx, userId)
    await deleteLoginTokens(tx, userId)
  })
}
