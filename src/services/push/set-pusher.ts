import type { App } from '../../app.ts'
import { InvalidParamError, MissingParamError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import { deletePushers, storePusher } from '../../storage/pushers.ts'
import type { Session } from '../users/session.ts'

/** A pusher as a client sends it. */
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
 * Makes notifications of a user go to a push gateway, until the session ends. Throws M_MISSING_PARAM for what a pusher lacks, and
 * M_INVALID_PARAM for kinds and addresses that there are none of. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
 */
export async function setPusher(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  { userId, deviceId, tokenHash }: Session,
  pusher: PusherToSet,
): Promise<void> {
  const missing = REQUIRED.filter((name) => pusher[name] === undefined)
  if (missing.length > 0) throw new MissingParamError(`Missing parameters: ${missing.join(', ')}`)
  if (pusher.kind !== 'http') throw new InvalidParamError(`There are no pushers of kind ${pusher.kind} here`)
  checkUrl(app, pusher.data?.url)
  const { app_id, pushkey, append } = pusher
  await app.database.write(async (tx) => {
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
  })
}

/** Ends a user's pusher; no matter if there is none. */
export async function removePusher(
  app: Pick<App, 'database'>,
  { userId }: Session,
  key: { app_id: string; pushkey: string },
): Promise<void> {
  await app.database.write((tx) => deletePushers(tx, key, { of: userId }))
}

/** Without encryption only where private addresses are allowed, that is in tests and closed networks. */
function checkUrl({ config }: Pick<App, 'config'>, url: unknown): void {
  if (typeof url !== 'string' || !URL.canParse(url)) throw new InvalidParamError('data.url: must be a URL')
  const { protocol, pathname } = new URL(url)
  const isPlain = protocol === 'http:' && config.federation.allow_private_addresses
  if (protocol !== 'https:' && !isPlain) throw new InvalidParamError('data.url: must begin with https://')
  if (pathname !== '/_matrix/push/v1/notify')
    throw new InvalidParamError('data.url: its path must be /_matrix/push/v1/notify')
}
