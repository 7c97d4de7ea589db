import type { App } from '../../app.ts'
import { deleteDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteUnusedConsents } from '../../storage/oauth/consents.ts'
import {
  deleteDevicelessSessions,
  deleteOAuthSession,
  findOAuthSessionOfToken,
} from '../../storage/oauth/oauth-sessions.ts'
import { deleteWebSessions } from '../../storage/sign-in/web-sessions.ts'
import { deleteAccessToken, deleteDevicelessTokens } from '../../storage/users/access-tokens.ts'
import { deleteLoginTokens } from '../../storage/users/login-tokens.ts'
import { deleteThreepidSessions } from '../../storage/users/threepids.ts'
import { lockUser } from '../../storage/users/users.ts'
import type { Session } from './session.ts'
import { hashToken } from './tokens.ts'

/** Ends a session: deletes its device with all its tokens, or without one its tokens. */
export async function logOut(app: Pick<App, 'database'>, session: Session): Promise<void> {
  const { userId, deviceId, tokenHash } = session
  await app.database.write(async (tx) => {
    if (deviceId !== null) return void (await deleteDevices(tx, userId, { only: [deviceId] }))
    const oauth = await findOAuthSessionOfToken(tx, { tokenHash, familyHash: null })
    if (oauth) await deleteOAuthSession(tx, oauth.session_nid)
    else await deleteAccessToken(tx, tokenHash)
  })
}

/** The user whose sessions end, except that of the device `keep`, or of the browser with the cookie `keepCookie`. */
export type AllSessions = {
  userId: Session['userId']
  keep?: Pick<Session, 'deviceId'> | undefined
  keepCookie?: string | undefined
}

/** Ends all sessions of a user in clients and browsers, and what was prepared in them. */
export async function logOutEverywhere(app: Pick<App, 'database'>, which: AllSessions): Promise<void> {
  await app.database.write((tx) => endSessions(tx, which))
}

/** Ends sessions within a larger transaction. A concurrent login happens entirely before or after it. */
export async function endSessions(tx: Tx, { userId, keep, keepCookie }: AllSessions): Promise<void> {
  const kept = keep?.deviceId
  await lockUser(tx, userId)
  await deleteDevices(tx, userId, { except: kept ? [kept] : [] })
  if (!keep || kept) {
    await deleteDevicelessSessions(tx, userId)
    await deleteDevicelessTokens(tx, userId)
  }
  await endPreparations(tx, userId)
  await deleteWebSessions(tx, userId, keepCookie === undefined ? undefined : hashToken(keepCookie))
}

/**
 * Ends what somebody in a session may have prepared for the time after it: login tokens, unused consents, and addresses
 * that wait for their link. The caller has locked the user.
 */
export async function endPreparations(tx: Tx, userId: Session['userId']): Promise<void> {
  await deleteLoginTokens(tx, userId)
  await deleteUnusedConsents(tx, userId)
  await deleteThreepidSessions(tx, userId)
}
