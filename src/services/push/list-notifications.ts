import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { firstWithin } from '../../core/json/within-bytes.ts'
import { loadNotificationPage } from '../../storage/push/notifications.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import { serveEvents } from '../rooms/reading/serve-events.ts'
import { filterNotifiable } from './judge-events.ts'
import { storeUnread } from './unread-counts.ts'

type Page = {
  userId: UserId
  deviceId: DeviceId | null
  /** The token of the previous page; undefined: from the newest. */
  from: string | undefined
  limit: number
  highlightsOnly: boolean
}

/**
 * Lists a user's notifications, newest first. Throws M_INVALID_PARAM for an unknown token.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications
 */
export async function listNotifications(
  app: Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'reading' | 'push'>,
  page: Page,
): Promise<object> {
  const { userId, deviceId, from, limit, highlightsOnly } = page
  const before = from === undefined ? undefined : parseToken(from)
  // Includes the user's actions through other processes.
  await app.stream.refresh()
  await storeUnread(app, userId)
  const rows = await loadNotificationPage(app.database, { userId, before, highlightsOnly, limit: limit + 1 })
  const loaded = await loadEvents(
    app.database,
    rows.slice(0, limit).map((row) => row.event_nid),
  )
  const sized = rows.slice(0, limit).map((row) => ({ ...row, size: loaded.get(row.event_nid)?.size ?? 0 }))
  const shown = firstWithin(sized, app.config.limits.answers.page)
  for (const { event_nid } of sized.slice(shown.length)) loaded.delete(event_nid)
  const events = await filterNotifiable(app, userId, [...loaded.values()])
  const served = await serveEvents(app, { events, userId, deviceId })
  const byNid = new Map(events.map(({ event_nid }, place) => [event_nid, served[place]!]))
  const notifications = shown.flatMap(({ event_nid, actions, unread }) => {
    const found = byNid.get(event_nid)
    if (!found) return []
    const { room_id, ...event } = found
    return { room_id, event, actions: JSON.parse(actions), read: !unread, ts: event.origin_server_ts }
  })
  return { notifications, ...(rows.length > shown.length && { next_token: tokenOf(shown.at(-1)!) }) }
}

/** The position of a notification in the list: its timestamp and nid. */
type Place = { origin_server_ts: number; event_nid: number }

function tokenOf({ origin_server_ts, event_nid }: Place): string {
  return `n${origin_server_ts}_${event_nid}`
}

function parseToken(token: string): Place {
  const [, ts, nid] = /^n(-?\d{1,15})_(\d{1,15})$/.exec(token) ?? []
  if (ts === undefined || nid === undefined) throw new InvalidParamError('from: is no token of a page of notifications')
  return { origin_server_ts: Number(ts), event_nid: Number(nid) }
}
