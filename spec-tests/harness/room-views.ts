import type { TestUser } from './client.ts'
import { type SlidingBody, type SlidingClient, slidingClient } from './sliding-client.ts'
import { openSlidingSocket } from './sliding-socket.ts'

type Event = { event_id: string; type: string; state_key?: string; sender: string; content: Record<string, unknown> }
type Receipts = Record<string, Record<string, Record<string, unknown>>>

/** A client's view of a room, from the responses that it has received. */
export type RoomView = {
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
export type Viewer = {
  name: string
  rooms: Map<string, RoomView>
  /** Syncs until there are no changes. */
  update(): Promise<void>
  close?(): void
}

const keyOf = ({ type, state_key }: Event) => `${type}|${state_key}`

function viewIn(rooms: Map<string, RoomView>, roomId: string): RoomView {
  const known = rooms.get(roomId)
  if (known) return known
  const blank = { state: new Map(), tail: [], joined: undefined, unread: undefined, receipts: new Map() }
  const view: RoomView = { membership: 'leave', ...blank }
  rooms.set(roomId, view)
  return view
}

function applyState(view: RoomView, events: readonly Event[] = []): void {
  for (const event of events) if (event.state_key !== undefined) view.state.set(keyOf(event), event.event_id)
}

function applyTimeline(view: RoomView, events: readonly Event[], isContinued: boolean): void {
  view.tail = [...(isContinued ? view.tail : []), ...events.map(({ event_id }) => event_id)]
}

function applyReceipts(view: RoomView, content: Receipts): void {
  for (const [eventId, types] of Object.entries(content))
    for (const user of Object.keys(types['m.read'] ?? {})) view.receipts.set(user, eventId)
}

/** Uses sync v3, with timelines so short that there are gaps. */
export function classicViewer(user: TestUser): Viewer {
  const rooms = new Map<string, RoomView>()
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
          applyClassic(viewIn(rooms, roomId), membership, room)
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

function applyClassic(view: RoomView, membership: string, room: ClassicRoom): void {
  view.membership = membership
  if (membership === 'invite') return
  applyState(view, room.state?.events)
  applyState(view, room.timeline?.events)
  if (room.timeline) applyTimeline(view, room.timeline.events, !room.timeline.limited)
  view.joined = room.summary?.['m.joined_member_count'] ?? view.joined
  view.unread = room.unread_notifications?.notification_count ?? view.unread
  for (const { type, content } of room.ephemeral?.events ?? []) if (type === 'm.receipt') applyReceipts(view, content)
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
export function slidingViewer(
  user: TestUser,
  form: 'stable' | 'unstable',
): Viewer & { look(at: Attention): Promise<void> } {
  const rooms = new Map<string, RoomView>()
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
export function socketViewer(user: TestUser): Viewer {
  const rooms = new Map<string, RoomView>()
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
  rooms: Map<string, RoomView>,
  user: TestUser,
  body: Awaited<ReturnType<SlidingClient['sync']>>,
): void {
  for (const [roomId, room] of Object.entries<SlidingRoom>(body.rooms)) {
    const view = viewIn(rooms, roomId)
    if (room.initial) Object.assign(view, { state: new Map(), receipts: new Map() })
    view.membership = membershipOf(view, room, user)
    if (view.membership === 'invite') continue
    applyState(view, room.required_state)
    const isAnew = room.initial || room.limited || room.expanded_timeline || room.unstable_expanded_timeline
    if (room.timeline) applyTimeline(view, room.timeline, !isAnew)
    view.joined = room.joined_count ?? view.joined
    view.unread = room.notification_count ?? view.unread
  }
  const receipts = (body as SlidingBody).extensions.receipts?.rooms ?? {}
  for (const [roomId, { content }] of Object.entries<{ content: Receipts }>(receipts))
    applyReceipts(viewIn(rooms, roomId), content)
}

function membershipOf(view: RoomView, room: SlidingRoom, { userId }: TestUser): string {
  if (room.membership !== undefined) return room.membership
  if (room.invite_state) return 'invite'
  const own = [...(room.timeline ?? []), ...(room.required_state ?? [])].findLast(
    ({ type, state_key }) => type === 'm.room.member' && state_key === userId,
  )
  return own ? String(own.content.membership) : view.membership
}
