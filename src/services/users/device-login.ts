import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findDehydratedDevice } from '../../storage/devices/dehydrated-device.ts'
import { ensureDevice } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteOAuthSessionsOfDevice } from '../../storage/oauth/oauth-sessions.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import { storeUpstreamDevice } from '../../storage/sign-in/upstream-sessions.ts'
import { deleteDeviceTokens } from '../../storage/users/access-tokens.ts'
import { issueLastingToken, issueTokenPair, type TokenPair } from './issue-tokens.ts'
import { limitDevices } from './limit-devices.ts'
import { enqueueNotice, type NoticeCapabilities } from './mail/account-notices.ts'
import type { AccountNotice } from './mail/notice-texts.ts'

/** The client's device parameters of a login. */
export type LoginDevice = {
  /** Absent: the server generates one. */
  deviceId?: DeviceId | undefined
  /** The display name if the device is new. */
  displayName?: string | undefined
  /** Whether the client supports refresh tokens; if so, its access tokens expire. */
  wantsRefreshToken: boolean
  /** The network address and the client of a sign-in, for the mail to the user; absent: a new account. */
  from?: SignInOrigin | undefined
  /** The session at an identity provider by which the user signed in: it ends the device with it. */
  upstreamSessionNid?: number | null | undefined
}

/** Where a sign-in comes from. */
export type SignInOrigin = { ip: string; userAgent: string | undefined }

/** The components that the login of a device uses. */
export type DeviceLoginCapabilities = Pick<App, 'logger'> & NoticeCapabilities

const DEVICE_ID_LENGTH = 10

/**
 * Logs a device in; an existing device loses its former tokens. The caller has locked or just created the user, so that
 * of two concurrent logins on one device one keeps its tokens. Throws as `takeDevice`.
 * https://spec.matrix.org/v1.19/client-server-api/#relationship-between-access-tokens-and-devices
 */
export async function logInDevice(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { userId, device }: { userId: UserId; device: LoginDevice },
): Promise<TokenPair & { device_id: DeviceId }> {
  const deviceId = device.deviceId ?? (app.random.token(DEVICE_ID_LENGTH).toUpperCase() as DeviceId)
  const key = { userId, deviceId }
  const { displayName, from, upstreamSessionNid } = device
  await takeDevice(app, tx, { ...key, displayName, from, upstreamSessionNid })
  const tokens = device.wantsRefreshToken
    ? await issueTokenPair(app, tx, { ...key, oauth: null })
    : await issueLastingToken(app, tx, key)
  return { ...tokens, device_id: deviceId }
}

/**
 * Creates a device, or takes over an existing one, whose former sessions end; its user is notified of the sign-in. The
 * caller has locked or just created the user. Throws M_INVALID_PARAM for the user's dehydrated device: a session of it
 * would receive the messages encrypted for its keys.
 */
export async function takeDevice(
  app: DeviceLoginCapabilities,
  tx: Tx,
  {
    displayName,
    from,
    upstreamSessionNid = null,
    ...key
  }: DeviceKey & Pick<LoginDevice, 'displayName' | 'from' | 'upstreamSessionNid'>,
): Promise<void> {
  if ((await findDehydratedDevice(tx, key.userId))?.device_id === key.deviceId)
    throw new InvalidParamError('device_id: is that of the dehydrated device')
  const isNew = await ensureDevice(tx, { ...key, displayName: displayName ?? null, now: app.clock.now() })
  if (isNew) await limitDevices(app, tx, key)
  else await endSessionsOfDevice(tx, key)
  if (!isNew || upstreamSessionNid !== null) await storeUpstreamDevice(tx, key, upstreamSessionNid)
  if (from) await noticeSignIn(app, tx, { userId: key.userId, from, device: displayName ?? key.deviceId })
}

/** Tells a user of a sign-in by mail. `device`: its name, or its ID. */
export async function noticeSignIn(
  app: NoticeCapabilities,
  tx: Tx,
  { userId, from, device }: { userId: UserId; from: SignInOrigin; device: string },
): Promise<void> {
  await enqueueNotice(app, tx, { userId, notice: signInNotice(from, device) })
}

/** Deletes the tokens of a device that stays, and the login tokens that it requested. */
async function endSessionsOfDevice(tx: Tx, key: DeviceKey): Promise<void> {
  await deleteDeviceTokens(tx, key)
  await deleteOAuthSessionsOfDevice(tx, key)
}

/** Returns the notice of a sign-in. `device`: its name, or its ID; undefined for a browser. */
export function signInNotice({ ip, userAgent }: SignInOrigin, device: string | undefined): AccountNotice {
  return { kind: 'sign_in', device, client: userAgent, address: ip }
}
