import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteDeviceGrant, findGrantDecider, lockPolledGrant, storePoll } from '../../storage/oauth/device-grants.ts'
import type { OAuthDeviceGrantRow } from '../../storage/schema/oauth-device-grants.ts'
import { lockUser } from '../../storage/users/users.ts'
import type { DeviceLoginCapabilities, SignInOrigin } from '../users/device-login.ts'
import { hashToken } from '../users/tokens.ts'
import { hasDevice } from './device-grants.ts'
import { clientLabel, findClient } from './oauth-clients.ts'
import { OAuthError, type OAuthErrorCode } from './oauth-error.ts'
import { type OpenedSession, openOAuthSession } from './open-oauth-session.ts'

/** Added to the interval of a device that polls too soon: https://datatracker.ietf.org/doc/html/rfc8628#section-3.5 */
const SLOWED_BY_MS = 5000
const MAX_INTERVAL_MS = 60_000
/** Networks deliver requests with varying delays: a poll may be this much too soon. */
const TOLERANCE_MS = 1000

const DESCRIPTIONS = {
  authorization_pending: 'The user has not decided yet',
  slow_down: 'The device polls too often: wait 5 seconds longer between requests from now on',
  access_denied: 'The user refused, or has this device already',
  expired_token: 'The user did not decide in time. Start again.',
  invalid_grant: 'The device code is unknown, has been used, or is another client’s',
} as const satisfies Partial<Record<OAuthErrorCode, string>>

/** A new session, and what an ID token says about its sign-in. */
export type RedeemedGrant = OpenedSession & { userId: UserId; authenticatedTs: number }

/** The result of a poll. A refusal is thrown after the transaction, so that what the poll stored stays. */
type Outcome = { opened: RedeemedGrant } | { refused: keyof typeof DESCRIPTIONS }

/**
 * Answers the poll of a device: issues its tokens, once, after a user has approved. Throws the errors of
 * https://datatracker.ietf.org/doc/html/rfc8628#section-3.5
 */
export async function redeemDeviceGrant(
  app: DeviceLoginCapabilities & Pick<App, 'database'>,
  { deviceCode, clientId, from }: { deviceCode: string; clientId: string; from: SignInOrigin },
): Promise<RedeemedGrant> {
  const { name: deviceName } = clientLabel(await findClient(app, clientId))
  const outcome = await app.database.write(async (tx): Promise<Outcome> => {
    const codeHash = hashToken(deviceCode)
    // The user first, as for the end of all sessions, which deletes the grant.
    const decider = await findGrantDecider(tx, codeHash)
    if (decider) await lockUser(tx, decider)
    const grant = await lockPolledGrant(tx, codeHash)
    if (!grant || grant.client_id !== clientId) return { refused: 'invalid_grant' }
    const now = app.clock.now()
    if (grant.expires_ts <= now) return { refused: 'expired_token' }
    if (grant.decided_ts === null) return { refused: await notePoll(tx, grant, now) }
    const { user_id: userId, granted_scope: scope } = grant
    if (userId === null || scope === null) return { refused: 'access_denied' }
    // Decided in this moment: the next poll has the user locked.
    if (userId !== decider) return { refused: 'authorization_pending' }
    if (await hasDevice(tx, { userId, scope })) return { refused: 'access_denied' }
    await deleteDeviceGrant(tx, grant.device_code_hash)
    const upstreamSessionNid = grant.upstream_session_nid
    const opened = await openOAuthSession(app, tx, { userId, clientId, scope, deviceName, from, upstreamSessionNid })
    return { opened: { ...opened, userId, authenticatedTs: grant.authenticated_ts! } }
  })
  if ('refused' in outcome) throw new OAuthError(outcome.refused, DESCRIPTIONS[outcome.refused])
  return outcome.opened
}

/** Notes when the device polled, and returns what to answer while the user has not decided. */
async function notePoll(
  tx: Tx,
  { device_code_hash, polled_ts, interval_ms }: OAuthDeviceGrantRow,
  now: number,
): Promise<'authorization_pending' | 'slow_down'> {
  const isTooSoon = polled_ts !== null && now - polled_ts < interval_ms - TOLERANCE_MS
  const interval = isTooSoon ? Math.min(interval_ms + SLOWED_BY_MS, MAX_INTERVAL_MS) : interval_ms
  await storePoll(tx, { device_code_hash, polled_ts: now, interval_ms: interval })
  return isTooSoon ? 'slow_down' : 'authorization_pending'
}
