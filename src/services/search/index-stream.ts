import type { App } from '../../app.ts'
import { type EventId, isEventId, isUserId, localpartOf, type RoomId, type UserId } from '../../core/ids.ts'
import { searchTokens } from '../../core/text/search-tokens.ts'
import { searchableText } from '../../core/text/searchable-text.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { loadEvents, loadEventsById } from '../../storage/rooms/timeline/events.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import {
  deleteSearchEntries,
  loadRowsAfter,
  loadSearchProgress,
  lockSearchProgress,
  type SearchEntry,
  storeSearchEntries,
  storeSearchProgress,
} from '../../storage/search/search-index.ts'
import { loadJoinedUsers, loadMemberNames, storeUserWords } from '../../storage/search/user-directory.ts'
import { loadProfiles } from '../../storage/users/profiles.ts'

type Indexing = Pick<App, 'database' | 'stream' | 'clock'>

const ROWS_AT_ONCE = 1000
/** Remote rooms may have any number of members. */
const USERS_AT_ONCE = 1000
/** How long a search waits until the index has caught up. */
const PATIENCE_MS = 2000

/**
 * Indexes the next stream rows in one transaction, whose lock excludes all other processes; `wait`: whether to wait for
 * that lock. Returns whether there is more work for this process.
 */
export async function indexNextRows(app: Pick<App, 'database'>, { wait }: { wait: boolean }): Promise<boolean> {
  return app.database.writeLazily(async (tx) => {
    const position = await lockSearchProgress(tx, wait)
    if (position === undefined) return false
    const rows = await loadRowsAfter(tx, position, ROWS_AT_ONCE)
    const last = rows.at(-1)
    if (!last) return false
    const redacted = redactedIn(rows)
    await indexEvents(tx, rows, redacted)
    await indexUsers(tx, rows, redacted)
    await storeSearchProgress(tx, last.stream_position)
    return rows.length === ROWS_AT_ONCE
  })
}

/**
 * Waits until the index has caught up with this process's stream position, and helps with it; gives up after a moment
 * if it is far behind.
 */
export async function catchUpIndex(app: Indexing): Promise<void> {
  const target = await app.stream.refresh()
  const deadline = app.clock.now() + PATIENCE_MS
  while ((await loadSearchProgress(app.database)) < target && app.clock.now() < deadline) {
    await indexNextRows(app, { wait: true })
  }
}

/** Returns the IDs of redacted events. */
function redactedIn(rows: readonly StreamRow[]): EventId[] {
  const details = rows.filter(isSent).flatMap(({ detail }) => detail ?? [])
  return details.map((detail) => detail.replace(/^redacts /, '')).filter(isEventId)
}

function isSent({ kind }: StreamRow): boolean {
  return kind === 'event' || kind === 'history'
}

async function indexEvents(tx: Tx, rows: readonly StreamRow[], redacted: readonly string[]): Promise<void> {
  const sent = rows.filter(isSent)
  const nids = sent.flatMap(({ ref }) => ref ?? [])
  const entries: SearchEntry[] = []
  for (const event of (await loadEvents(tx, nids)).values()) {
    const found = event.redacted_by === null && !event.rejected ? searchableText(event.pdu) : undefined
    const words = found ? searchTokens(found.text) : []
    if (!found || words.length === 0) continue
    const { event_nid: eventNid, room_id: roomId, pdu } = event
    entries.push({ eventNid, roomId, sender: pdu.sender, originServerTs: pdu.origin_server_ts, key: found.key, words })
  }
  await storeSearchEntries(tx, entries)
  await deleteSearchEntries(tx, redacted)
}

/**
 * Users are indexed from their first room on, remote users from the first event that this server sees. Names in
 * redacted member events are not searchable.
 */
async function indexUsers(tx: Tx, rows: readonly StreamRow[], redacted: readonly EventId[]): Promise<void> {
  const isAbout = ({ kind, detail }: StreamRow) =>
    kind === 'profile' || ((kind === 'event' || kind === 'state') && detail === 'join')
  const named = rows.flatMap((row) => (row.user_id !== null && isAbout(row) ? row.user_id : []))
  const entered = rows.flatMap(({ kind, room_id, detail }) => {
    if (kind === 'room_entered') return detail as RoomId
    return kind === 'room_complete' && room_id !== null ? room_id : []
  })
  const renamed = (await loadEventsById(tx, redacted)).flatMap(({ pdu: { type, state_key = '' } }) =>
    type === 'm.room.member' && isUserId(state_key) ? state_key : [],
  )
  const userIds = [...new Set([...named, ...renamed, ...(await loadJoinedUsers(tx, entered))])]
  for (let place = 0; place < userIds.length; place += USERS_AT_ONCE) {
    await storeWordsOf(tx, userIds.slice(place, place + USERS_AT_ONCE))
  }
}

async function storeWordsOf(tx: Tx, userIds: readonly UserId[]): Promise<void> {
  const [profiles, memberNames] = [await loadProfiles(tx, userIds), await loadMemberNames(tx, userIds)]
  const words = (userId: UserId) => {
    const names = [profiles.get(userId)?.displayname, ...(memberNames.get(userId) ?? [])]
    const texts = names.filter((name) => typeof name === 'string')
    return searchTokens([localpartOf(userId), ...texts].join('\n'))
  }
  await storeUserWords(tx, new Map(userIds.map((userId) => [userId, words(userId)])))
}
