import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findDehydratedDevice } from '../../storage/devices/dehydrated-device.ts'
import { ensureDevice } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteDeviceTokens, insertAccessToken } from '../../storage/users/access-tokens.ts'
import { insertRefreshToken } from '../../storage/users/refresh-tokens.ts'
import { limitDevices } from './limit-devices.ts'
import { enqueueNotice, type NoticeCapabilities } from './mail/account-notices.ts'
import type { AccountNotice } from './mail/notice-texts.ts'
import { familyOf, hashToken, newRefreshToken, newToken } from './tokens.ts'

/** The client's device parameters of a login. */
export type LoginDevice = {
  /** Absent: the server generates one. */
  deviceId?: DeviceId | undefined
  /** The display name if the device is new. */
  displayName?: string | undefined
  /** Whether the client supports refresh tokens; if so, its access tokens expire. */
  wantsRefreshToken: boolean
  /** The network address and the client of a sign-in, of which the user is told; absent: a new account. */
  from?: SignInOrigin | undefined
}

/** Where a sign-in comes from. */
export type SignInOrigin = { ip: string; userAgent: string | undefined }

/** The tokens in responses of `/login`, `/register` and `/refresh`. */
export type TokenPair = { access_token: string; refresh_token?: string; expires_in_ms?: number }

type ReplacedToken = { tokenHash: string; family: string; generation: number }

const DEVICE_ID_LENGTH = 10

/**
 * Logs a device in; an existing device loses its former tokens. The caller has locked or just created the user, so that
 * of two concurrent logins on one device one keeps its tokens. Throws M_INVALID_PARAM for the user's dehydrated device:
 * a session of it would receive the messages encrypted for its keys.
 * https://spec.matrix.org/v1.19/client-server-api/#relationship-between-access-tokens-and-devices
 */
export async function logInDevice(
  app: Pick<App, 'logger'> & NoticeCapabilities,
  tx: Tx,
  { userId, device }: { userId: UserId; device: LoginDevice },
): Promise<TokenPair & { device_id: DeviceId }> {
  const deviceId = device.deviceId ?? (app.random.token(DEVICE_ID_LENGTH).toUpperCase() as DeviceId)
  if (device.deviceId !== undefined && (await findDehydratedDevice(tx, userId))?.device_id === deviceId)
    throw new InvalidParamError('device_id: is that of the dehydrated device')
  const key = { userId, deviceId }
  const isNew = await ensureDevice(tx, { ...key, displayName: device.displayName ?? null, now: app.clock.now() })
  if (isNew) await limitDevices(app, tx, key)
  await deleteDeviceTokens(tx, key)
  if (device.from)
    await enqueueNotice(app, tx, { userId, notice: signInNotice(device.from, device.displayName ?? deviceId) })
  return { ...(await issueTokens(app, tx, { ...key, refreshable: device.wantsRefreshToken })), device_id: deviceId }
}

/** Returns the notice of a sign-in. `device`: its name, or its ID. */
function signInNotice({ ip, userAgent }: SignInOrigin, device: string | undefined): AccountNotice {
  return { kind: 'sign_in', device, client: userAgent, address: ip }
}

/** Issues tokens to a device. `replaces`: the refresh token that becomes invalid once the new ones are used. */
export async function issueTokens(
  app: Pick<App, 'random' | 'clock' | 'config'>,
  tx: Tx,
  { userId, deviceId, ...how }: { userId: UserId; deviceId: DeviceId; refreshable: boolean; replaces?: ReplacedToken },
): Promise<TokenPair> {
  const accessToken = newToken(app, 'access')
  const access = { token_hash: hashToken(accessToken), user_id: userId, device_id: deviceId }
  if (!how.refreshable) {
    await insertAccessToken(tx, { ...access, expires_ts: null, refresh_token_hash: null })
    return { access_token: accessToken }
  }
  const refreshToken = newRefreshToken(app, how.replaces?.family)
  const refreshHash = hashToken(refreshToken)
  const lifetime = app.config.sessions.access_token_lifetime
  await insertRefreshToken(tx, {
    token_hash: refreshHash,
    user_id: userId,
    device_id: deviceId,
    replaces: how.replaces?.tokenHash ?? null,
    family_hash: hashToken(familyOf(refreshToken)!),
    generation: how.replaces ? how.replaces.generation + 1 : 0,
  })
  await insertAccessToken(tx, {
    ...access,
    expires_ts: app.clock.now() + lifetime,
    refresh_token_hash: refreshHash,
  })
  return { access_token: accessToken, refresh_token: refreshToken, expires_in_ms: lifetime }
}
