import type { App } from '../../app.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../../storage/engine/database.ts'
import type { QueuedPush } from '../../storage/push/push-queue.ts'
import { loadPushersOf, loadRoomPushers } from '../../storage/push/pushers.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import { judgeEvents } from './judge-events.ts'

type Reading = Pick<App, 'config' | 'database' | 'stream' | 'push'>
type Happening = { position: number; event: StoredEvent }
type Pusher = { pusher_nid: number; since_position: number }

/**
 * Returns the pushes for stream rows: events according to their recipients' rules, and unread counts after a user has
 * read something.
 */
export async function pushesFor(app: Reading, rows: readonly StreamRow[]): Promise<QueuedPush[]> {
  const happenings = await eventsAmong(app.database, rows)
  const readers = new Map<UserId, number>()
  const note = (userId: UserId, position: number) => readers.set(userId, Math.max(position, readers.get(userId) ?? 0))
  for (const { event, position } of happenings) note(event.pdu.sender, position)
  for (const row of rows) if (row.kind === 'receipt') note(readerOf(row), row.stream_position)
  return [...(await notifications(app, happenings)), ...(await badges(app.database, readers))]
}

async function eventsAmong(db: Db, rows: readonly StreamRow[]): Promise<Happening[]> {
  const ofEvents = rows.filter((row) => row.kind === 'event' && row.ref !== null)
  const events = await loadEvents(
    db,
    ofEvents.map((row) => row.ref!),
  )
  return ofEvents.flatMap((row) => {
    const event = events.get(row.ref!)
    return event ? [{ position: row.stream_position, event }] : []
  })
}

/** Private receipts name their owner as the row's user, public ones in `detail`. */
function readerOf(row: StreamRow): UserId {
  return row.room_id === null ? row.user_id! : (row.detail as UserId)
}

async function notifications(app: Reading, happenings: readonly Happening[]): Promise<QueuedPush[]> {
  const pushes: QueuedPush[] = []
  for (const [userId, { pushers, concerned }] of await concernedUsers(app.database, happenings)) {
    const ofUser = [...concerned]
    const verdicts = await judgeEvents(
      app,
      userId,
      ofUser.map(({ event }) => event),
    )
    for (const [place, { position, event }] of ofUser.entries()) {
      const { notify, tweaks, highlight } = verdicts[place]!
      if (!notify) continue
      for (const { pusher_nid, since_position } of pushers.values()) {
        if (since_position >= position) continue
        pushes.push({ pusher_nid, event_nid: event.event_nid, tweaks: JSON.stringify(tweaks), highlight })
      }
    }
  }
  return pushes
}

type Concerned = Map<UserId, { pushers: Map<number, Pusher>; concerned: Set<Happening> }>

/** Returns the users with pushers whom events may concern: members of the room, and invited users. */
async function concernedUsers(db: Db, happenings: readonly Happening[]): Promise<Concerned> {
  const byRoom = Map.groupBy(happenings, ({ event }) => event.room_id)
  const invites = happenings.filter(({ event }) => isInvite(event))
  const users: Concerned = new Map()
  const add = (userId: UserId, pusher: Pusher, some: readonly Happening[]) => {
    const user = users.get(userId) ?? { pushers: new Map(), concerned: new Set() }
    users.set(userId, user)
    user.pushers.set(pusher.pusher_nid, pusher)
    for (const happening of some) user.concerned.add(happening)
  }
  for (const { room_id, user_id, ...pusher } of await loadRoomPushers(db, [...byRoom.keys()] as RoomId[]))
    add(user_id, pusher, byRoom.get(room_id) ?? [])
  const invited = invites.map(({ event }) => event.pdu.state_key as UserId)
  for (const { user_id, ...pusher } of await loadPushersOf(db, invited)) {
    const own = invites.filter(({ event }) => event.pdu.state_key === user_id)
    add(user_id, pusher, own)
  }
  return users
}

function isInvite({ pdu }: StoredEvent): boolean {
  return pdu.type === 'm.room.member' && pdu.content.membership === 'invite'
}

/** `readers`: users who may have read something, with the last stream position of that. */
async function badges(db: Db, readers: ReadonlyMap<UserId, number>): Promise<QueuedPush[]> {
  if (readers.size === 0) return []
  const pushers = await loadPushersOf(db, [...readers.keys()])
  const wanted = pushers.filter(
    ({ user_id, kind, since_position }) => kind === 'http' && since_position < readers.get(user_id)!,
  )
  return wanted.map(({ pusher_nid }) => ({ pusher_nid, event_nid: null, tweaks: '{}', highlight: false }))
}
