import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { presenceContent } from '../../../core/presence-content.ts'
import { loadPresenceNews, loadPresentUsers } from '../../../storage/presence/presence.ts'
import type { PresenceRow } from '../../../storage/schema/presence.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { SyncViewer } from './sync-room.ts'

/** The section `presence` of a response; absent if empty. */
export type PresenceSection = { presence?: { events: JsonObject[] } }

/**
 * Returns presence of the users who share a room with the user.
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 */
export async function allPresence(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: SyncViewer,
  joined: readonly RoomId[],
): Promise<PresenceSection> {
  if (!app.config.presence.enabled) return {}
  return sectionOf(app, viewer, await loadPresentUsers(app.database, viewer.userId, joined))
}

/**
 * Returns changed presence of users who share a room with the user, and presence of users who do so since these rows.
 */
export async function presenceChanges(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: SyncViewer,
  news: {
    changed: readonly UserId[]
    rows: readonly StreamRow[]
    joined: ReadonlySet<RoomId>
    newlyJoined: ReadonlySet<RoomId>
  },
): Promise<PresenceSection> {
  if (!app.config.presence.enabled) return {}
  const met = news.rows.flatMap(({ kind, room_id, user_id, detail }) => {
    const isJoin = (kind === 'event' || kind === 'state') && detail === 'join' && room_id !== null && user_id !== null
    return isJoin && user_id !== viewer.userId && news.joined.has(room_id) ? user_id : []
  })
  if (news.changed.length === 0 && met.length === 0 && news.newlyJoined.size === 0) return {}
  const { changed, joined, newlyJoined } = news
  const found = await loadPresenceNews(app.database, viewer.userId, {
    changed,
    met,
    roomIds: joined,
    newRooms: [...newlyJoined],
  })
  return sectionOf(app, viewer, found)
}

function sectionOf(app: Pick<App, 'clock'>, viewer: SyncViewer, found: readonly PresenceRow[]): PresenceSection {
  const now = app.clock.now()
  const events = found
    .filter(({ user_id }) => !viewer.ignored.has(user_id))
    .map((row) => ({ type: 'm.presence', sender: row.user_id, content: presenceContent(row, now) }))
    .filter((event) => viewer.filter.takesPresence(event))
  return events.length > 0 ? { presence: { events } } : {}
}
