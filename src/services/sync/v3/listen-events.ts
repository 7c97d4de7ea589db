import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { parseSyncToken, syncToken } from '../../../core/sync-token.ts'
import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { accessRoom } from '../../rooms/access/room-access.ts'
import { serveEvents } from '../../rooms/reading/serve-events.ts'
import { visibleEvents } from '../../rooms/reading/visible-events.ts'
import { oldNews } from './old-news.ts'

export type ListenCommand = {
  userId: UserId
  deviceId: DeviceId | null
  /** One room, possibly peeked into; undefined: all joined rooms. */
  roomId?: RoomId | undefined
  from?: string | undefined
  /** How long to wait for an event, in milliseconds. */
  timeout: number
  signal: AbortSignal
}

type Listening = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'sync'>

const MAX_TIMEOUT_MS = 10 * 60_000

/**
 * Waits for events, typing, receipts, presence and account data, in the format that preceded /sync; without `from` from
 * now on. Throws M_FORBIDDEN for a room that the user may not read, and M_INVALID_PARAM for a malformed token.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events
 */
export async function listenEvents(
  app: Listening,
  command: ListenCommand,
): Promise<{ start: string; end: string; chunk: (ClientEvent | JsonObject)[] }> {
  const now = await app.stream.refresh()
  const from = command.from === undefined ? now : parseSyncToken(command.from)
  if (from > now) throw new InvalidParamError('from: is a token from another time or server')
  const deadline = app.clock.now() + Math.min(command.timeout, MAX_TIMEOUT_MS)
  let isOver = false
  for (;;) {
    const rooms = await roomsOf(app, command)
    const to = app.stream.position()
    const chunk = await newsBetween(app, command, { from, to, rooms })
    const left = deadline - app.clock.now()
    if (chunk.length > 0 || isOver || left <= 0 || command.signal.aborted) {
      return { start: syncToken(from), end: syncToken(to), chunk }
    }
    isOver = await nextRow(app, {
      rooms: new Set(rooms),
      userId: command.userId,
      after: to,
      left,
      signal: command.signal,
    })
  }
}

async function roomsOf(app: Listening, { roomId, userId }: ListenCommand): Promise<RoomId[]> {
  if (roomId === undefined) {
    return (await loadUserMemberships(app.database, userId, ['join'])).map(({ room_id }) => room_id)
  }
  await accessRoom(app, roomId, userId)
  return [roomId]
}

async function newsBetween(
  app: Listening,
  command: ListenCommand,
  { from, to, rooms }: { from: number; to: number; rooms: readonly RoomId[] },
): Promise<(ClientEvent | JsonObject)[]> {
  const { roomId, userId } = command
  const rows = await app.stream.rowsBetween({ from, to, roomIds: new Set(rooms), userId })
  const events = await eventsOf(app, command, rows)
  // Peeking shows only a room's events.
  if (roomId !== undefined) return events
  return [...events, ...(await oldNews(app, command, { rows, from, to, rooms: new Set(rooms) }))]
}

async function eventsOf(app: Listening, command: ListenCommand, rows: readonly StreamRow[]): Promise<ClientEvent[]> {
  const nids = rows.flatMap(({ kind, ref, room_id }) =>
    kind === 'event' && ref !== null && (command.roomId === undefined || room_id === command.roomId) ? ref : [],
  )
  const events = await loadEvents(app.database, nids)
  const found = nids.flatMap((nid) => events.get(nid) ?? [])
  const visible = await visibleEvents(app, command.userId, found)
  return serveEvents(app, { ...command, events: await withoutHiddenInvites(app, command.userId, visible) })
}

async function withoutHiddenInvites(
  app: Listening,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const isOwn = ({ pdu }: StoredEvent) => pdu.type === 'm.room.member' && pdu.state_key === userId
  const shown: StoredEvent[] = []
  for (const event of events)
    if (!isOwn(event) || (await app.sync.invites.unwantedAmong(userId, [event])).size === 0) shown.push(event)
  return shown
}

/**
 * Resolves when a row concerns the rooms or the user, on timeout, or when the signal is aborted. Resolves to true if
 * the user has newer requests.
 */
function nextRow(
  app: Listening,
  wait: { rooms: ReadonlySet<RoomId>; userId: UserId; after: number; left: number; signal: AbortSignal },
): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isOver: boolean) => {
      clearTimeout(timer)
      unsubscribe()
      leave()
      wait.signal.removeEventListener('abort', done)
      resolve(isOver)
    }
    const done = () => finish(false)
    const timer = setTimeout(done, wait.left)
    const unsubscribe = app.stream.subscribe((rows) => {
      const concerns = (row: StreamRow) =>
        row.kind === 'presence' || row.user_id === wait.userId || wait.rooms.has(row.room_id as RoomId)
      if (rows.some(concerns)) done()
    })
    const leave = app.sync.waitingRequests.enter(wait.userId, () => finish(true))
    wait.signal.addEventListener('abort', done)
    // Rows that arrived during the look-up.
    if (app.stream.position() > wait.after || wait.signal.aborted) done()
  })
}
