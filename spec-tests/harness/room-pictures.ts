import type { TestUser } from './client.ts'
import { type SlidingBody, type SlidingClient, slidingClient } from './sliding-client.ts'
import { openSlidingSocket } from './sliding-socket.ts'

type Event = { event_id: string; type: string; state_key?: string; sender: string; content: Record<string, unknown> }
type Receipts = Record<string, Record<string, Record<string, unknown>>>

/** A client's view of a room, from the responses that it has received. */
export type RoomPicture = {
  membership: string
  /** type and state key → event id */
  state: Map<string, string>
  /** The newest events that it knows without a gap. */
  tail: string[]
  joined: number | undefined
  unread: number | undefined
  /** user → event id */
  receipts: Map<string, string>
}

/** A client that syncs in one way or another and maintains its view of all rooms. */
export type Painter = {
  name: string
  rooms: Map<string, RoomPicture>
  /** Syncs until there are no changes. */
  update(): Promise<void>
  close?(): void
}

const keyOf = ({ type, state_key }: Event) => `${type}|${state_key}`

function pictureIn(rooms: Map<string, RoomPicture>, roomId: string): RoomPicture {
  const known = rooms.get(roomId)
  if (known) return known
  const blank = { state: new Map(), tail: [], joined: undefined, unread: undefined, receipts: new Map() }
  const picture: RoomPicture = { membership: 'leave', ...blank }
  rooms.set(roomId, picture)
  return picture
}

function applyState(picture: RoomPicture, events: readonly Event[] = []): void {
  for (const event of events) if (event.state_key !== undefined) picture.state.set(keyOf(event), event.event_id)
}

function applyTimeline(picture: RoomPicture, events: readonly Event[], isContinued: boolean): void {
  picture.tail = [...(isContinued ? picture.tail : []), ...events.map(({ event_id }) => event_id)]
}

function applyReceipts(picture: RoomPicture, content: Receipts): void {
  for (const [eventId, types] of Object.entries(content))
    for (const user of Object.keys(types['m.read'] ?? {})) picture.receipts.set(user, eventId)
}

/** Uses sync v3, with timelines so short that there are gaps. */
export function classicPainter(user: TestUser): Painter {
  const rooms = new Map<string, RoomPicture>()
  const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 3 } } }))
  let since = ''
  return {
    name: 'sync v3',
    rooms,
    async update() {
      const body = await user.get(`/_matrix/client/v3/sync?timeout=0&filter=${filter}${since && `&since=${since}`}`)
      since = body.next_batch
      for (const membership of ['join', 'leave', 'invite'])
        for (const [roomId, room] of Object.entries<never>(body.rooms?.[membership] ?? {}))
          applyClassic(pictureIn(rooms, roomId), membership, room)
    },
  }
}

type ClassicRoom = {
  state?: { events: Event[] }
  timeline?: { events: Event[]; limited: boolean }
  summary?: { 'm.joined_member_count'?: number }
  unread_notifications?: { notification_count: number }
  ephemeral?: { events: { type: string; content: Receipts }[] }
}

function applyClassic(picture: RoomPicture, membership: string, room: ClassicRoom): void {
  picture.membership = membership
  if (membership === 'invite') return
  applyState(picture, room.state?.events)
  applyState(picture, room.timeline?.events)
  if (room.timeline) applyTimeline(picture, room.timeline.events, !room.timeline.limited)
  picture.joined = room.summary?.['m.joined_member_count'] ?? picture.joined
  picture.unread = room.unread_notifications?.notification_count ?? picture.unread
  for (const { type, content } of room.ephemeral?.events ?? [])
    if (type === 'm.receipt') applyReceipts(picture, content)
}

type SlidingRoom = {
  membership?: string
  initial?: boolean
  expanded_timeline?: boolean
  unstable_expanded_timeline?: boolean
  limited?: boolean
  timeline?: Event[]
  required_state?: Event[]
  invite_state?: unknown[]
  stripped_state?: unknown[]
  joined_count?: number
  notification_count?: number
}

/**
 * The number of rooms that a client displays, the number of events requested of each, and whether it loses responses.
 */
export type Attention = { window: number; limit: number; loses: boolean }

function asking(form: 'stable' | 'unstable', { window, limit }: Attention): object {
  const state = form === 'stable' ? { include: [{}] } : [['*', '*']]
  const range = form === 'stable' ? { range: [0, window] } : { ranges: [[0, window]] }
  const extensions = { receipts: { enabled: true } }
  return { lists: { all: { ...range, timeline_limit: limit, required_state: state } }, extensions }
}

/** Uses sliding sync. `look`: the rooms that its user displays, possibly fewer than all; responses may get lost. */
export function slidingPainter(
  user: TestUser,
  form: 'stable' | 'unstable',
): Painter & { look(at: Attention): Promise<void> } {
  const rooms = new Map<string, RoomPicture>()
  const client = slidingClient(user, { form, connId: form })
  let pos: string | null = null
  const take = async (at: Attention) => {
    const body = await client.sync(asking(form, at), { pos })
    if (at.loses) return true
    pos = body.pos
    applySliding(rooms, user, body)
    return Object.keys(body.rooms).length > 0
  }
  return {
    name: `sliding sync, ${form}`,
    rooms,
    look: async (at) => void (await take(at)),
    async update() {
      while (await take({ window: 99, limit: 3, loses: false }));
    },
  }
}

/**
 * Uses sliding sync over a WebSocket. Responses that arrived before a request are dropped, as if they were still on
 * their way, and have to arrive again.
 */
export function socketPainter(user: TestUser): Painter {
  const rooms = new Map<string, RoomPicture>()
  const socket = openSlidingSocket(user)
  let round = 0
  return {
    name: 'sliding sync by WebSocket',
    rooms,
    async update() {
      let isNews = true
      while (isNews) {
        // A changed request gets an immediate response, even without changes.
        socket.request({ ...asking('stable', { window: 98 + (++round % 2), limit: 3, loses: false }) })
        const body = await socket.next()
        applySliding(rooms, user, body)
        isNews = Object.keys(body.rooms).length > 0
      }
    },
    close: socket.close,
  }
}

function applySliding(
  rooms: Map<string, RoomPicture>,
  user: TestUser,
  body: Awaited<ReturnType<SlidingClient['sync']>>,
): void {
  for (const [roomId, room] of Object.entries<SlidingRoom>(body.rooms)) {
    const picture = pictureIn(rooms, roomId)
    if (room.initial) Object.assign(picture, { state: new Map(), receipts: new Map() })
    picture.membership = membershipOf(picture, room, user)
    if (picture.membership === 'invite') continue
    applyState(picture, room.required_state)
    const isAnew = room.initial || room.limited || room.expanded_timeline || room.unstable_expanded_timeline
    if (room.timeline) applyTimeline(picture, room.timeline, !isAnew)
    picture.joined = room.joined_count ?? picture.joined
    picture.unread = room.notification_count ?? picture.unread
  }
  const receipts = (body as SlidingBody).extensions.receipts?.rooms ?? {}
  for (const [roomId, { content }] of Object.entries<{ content: Receipts }>(receipts))
    applyReceipts(pictureIn(rooms, roomId), content)
}

function membershipOf(picture: RoomPicture, room: SlidingRoom, { userId }: TestUser): string {
  if (room.membership !== undefined) return room.membership
  if (room.invite_state) return 'invite'
  const own = [...(room.timeline ?? []), ...(room.required_state ?? [])].findLast(
    ({ type, state_key }) => type === 'm.room.member' && state_key === userId,
  )
  return own ? String(own.content.membership) : picture.membership
}
