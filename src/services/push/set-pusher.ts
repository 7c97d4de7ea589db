import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, MissingParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { requireCount, requireSize } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { canonicalAddress, parseEmailAddress } from '../../core/text/email-address.ts'
import { countPushers, deletePushers, storePusher } from '../../storage/push/pushers.ts'
import type { PusherRow } from '../../storage/schema/push.ts'
import { findThreepidOwner } from '../../storage/users/threepids.ts'
import { lockUser } from '../../storage/users/users.ts'
import type { Session } from '../users/session.ts'

/** A pusher in a client's request. */
export type PusherToSet = {
  app_id: string
  pushkey: string
  kind: string
  app_display_name?: string | undefined
  device_display_name?: string | undefined
  profile_tag?: string | undefined
  lang?: string | undefined
  data?: JsonObject | undefined
  append: boolean
}

const REQUIRED = ['app_display_name', 'device_display_name', 'lang', 'data'] as const

/**
 * Creates or updates a pusher to a push gateway, or to an e-mail address of the user. It is deleted with the session.
 * Throws M_MISSING_PARAM, M_INVALID_PARAM for unknown kinds and addresses, and M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
 */
export async function setPusher(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  { userId, deviceId, tokenHash }: Session,
  pusher: PusherToSet,
): Promise<void> {
  const missing = REQUIRED.filter((name) => pusher[name] === undefined)
  if (missing.length > 0) throw new MissingParamError(`Missing parameters: ${missing.join(', ')}`)
  const { app_id, append } = pusher
  requireSize(app.config.limits, 'pusher', JSON.stringify(pusher))
  const pushkey = await checkedPushkey(app, userId, pusher)
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    if (!append) await deletePushers(tx, { app_id, pushkey }, { except: userId })
    await storePusher(tx, {
      user_id: userId,
      app_id,
      pushkey,
      device_id: deviceId,
      token_hash: deviceId === null ? tokenHash : null,
      kind: pusher.kind,
      app_display_name: pusher.app_display_name!,
      device_display_name: pusher.device_display_name!,
      profile_tag: pusher.profile_tag ?? null,
      lang: pusher.lang!,
      data: JSON.stringify(pusher.data),
      pushkey_ts: Math.floor(app.clock.now() / 1000),
    })
    requireCount(app.config.limits, 'pushers', await countPushers(tx, userId))
  })
}

/** Deletes a user's pusher, if present. */
export async function removePusher(
  app: Pick<App, 'database'>,
  { userId }: Session,
  key: { app_id: string; pushkey: string },
): Promise<void> {
  // Pushkeys of kind email are stored in canonical form.
  const pushkeys = new Set([key.pushkey, canonicalAddress({ medium: 'email', address: key.pushkey })])
  await app.database.write(async (tx) => {
    for (const pushkey of pushkeys) await deletePushers(tx, { ...key, pushkey }, { of: userId })
  })
}

/** Validates the pushkey: a gateway's URL, or an e-mail address of the user. */
async function checkedPushkey(
  app: Pick<App, 'database' | 'config'>,
  userId: UserId,
  { kind, pushkey, data }: PusherToSet,
): Promise<string> {
  if (kind === 'http') {
    checkUrl(app, data?.url)
    return pushkey
  }
  if (kind !== 'email' || app.config.email.smtp_url === undefined)
    throw new InvalidParamError(`Pushers of kind ${kind} are not supported`)
  const address = parseEmailAddress(pushkey)
  const owner = address && (await findThreepidOwner(app.database, { medium: 'email', address }))
  if (!address || owner !== userId)
    throw new MatrixError(400, 'M_THREEPID_NOT_FOUND', 'pushkey: your account has no such e-mail address')
  return address
}

/** HTTP is accepted only if private addresses are allowed, that is in tests and closed networks. */
function checkUrl({ config }: Pick<App, 'config'>, url: unknown): void {
  if (typeof url !== 'string' || !URL.canParse(url)) throw new InvalidParamError('data.url: must be a URL')
  const { protocol, pathname } = new URL(url)
  const isPlain = protocol === 'http:' && config.federation.allow_private_addresses
  if (protocol !== 'https:' && !isPlain) throw new InvalidParamError('data.url: must begin with https://')
  if (pathname !== '/_matrix/push/v1/notify')
    throw new InvalidParamError('data.url: its path must be /_matrix/push/v1/notify')
}

/** Returns a pusher in the form of the client API. */
export function describePusher(pusher: PusherRow) {
  return {
    pushkey: pusher.pushkey,
    kind: pusher.kind,
    app_id: pusher.app_id,
    app_display_name: pusher.app_display_name,
    device_display_name: pusher.device_display_name,
    ...(pusher.profile_tag !== null && { profile_tag: pusher.profile_tag }),
    lang: pusher.lang,
    data: JSON.parse(pusher.data),
  }
}
