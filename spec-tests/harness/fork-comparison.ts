import type { ForkRoom } from './fork-acts.ts'
import type { ForkServer } from './fork-network.ts'
import { type ClientEvent, historyOf, roomPath, v3 } from './rooms.ts'

/** Returns the event IDs of a room's current state, by type and state key. */
export async function stateOf({ anchor }: ForkServer, { roomId }: ForkRoom): Promise<Record<string, string>> {
  const events: ClientEvent[] = await anchor.get(roomPath(roomId, 'state'))
  return Object.fromEntries(events.map((event) => [`${event.type} ${event.state_key}`, event.event_id]).sort())
}

/** Returns the messages of a room, by ID, that a server's user gets by paginating its whole history. */
export async function messagesOf({ anchor }: ForkServer, { roomId }: ForkRoom): Promise<Map<string, ClientEvent>> {
  const messages = (await historyOf(anchor, roomId)).filter(({ type }) => type === 'm.room.message')
  const byId = new Map(messages.map((event) => [event.event_id as string, event]))
  if (byId.size < messages.length) throw new Error('a message comes twice')
  return byId
}

/** All events of the rooms that the servers send their users, in the federation format, by ID. */
export type Graph = {
  /** Reads new events. */
  follow(): Promise<void>
  events: ReadonlyMap<string, ClientEvent>
  /** Returns whether one event is a predecessor of another. */
  isBefore(ancestor: string, event: string): boolean
}

/** Follows the rooms as an anchor of each server. */
export function followGraph(servers: readonly ForkServer[]): Graph {
  const events = new Map<string, ClientEvent>()
  const since = new Map<ForkServer, string>()
  const ancestors = new Map<string, Set<string>>()
  const filter = encodeURIComponent(JSON.stringify({ event_format: 'federation', room: { timeline: { limit: 5000 } } }))

  async function followOne(server: ForkServer): Promise<void> {
    const from = since.get(server)
    const answer = await server.anchor.get(
      `${v3}/sync?use_state_after=true&filter=${filter}${from ? `&since=${from}` : ''}`,
    )
    since.set(server, answer.next_batch)
    for (const [room_id, room] of Object.entries(answer.rooms?.join ?? {})) {
      // biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape
      const { timeline, state, state_after } = room as any
      for (const event of [state, state_after, timeline].flatMap((part) => part?.events ?? []))
        events.set(event.event_id, { ...event, room_id })
    }
  }

  function ancestorsOf(id: string): Set<string> {
    const known = ancestors.get(id)
    if (known) return known
    const found = new Set<string>()
    const stack = [id]
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      for (const previous of events.get(next)?.prev_events ?? []) {
        if (!found.has(previous)) stack.push(previous)
        found.add(previous)
      }
    }
    ancestors.set(id, found)
    return found
  }

  return {
    async follow() {
      await Promise.all(servers.map(followOne))
    },
    events,
    isBefore: (ancestor, event) => ancestorsOf(event).has(ancestor),
  }
}

/**
 * Returns whether a server may hide a message from its users because it was soft-failed: the server had an event that
 * the message does not follow and that can forbid it. https://spec.matrix.org/v1.19/server-server-api/#soft-failure
 */
export function mayBeSoftFailed(
  graph: Graph,
  roomId: string,
  { event_id: message, sender }: ClientEvent,
): 'directly' | 'indirectly' | undefined {
  const rivals = [...graph.events.values()].filter(
    (event) =>
      event.room_id === roomId &&
      event.state_key !== undefined &&
      event.event_id !== message &&
      !graph.isBefore(event.event_id, message),
  )
  if (rivals.some((rival) => forbids(rival, sender))) return 'directly'
  return rivals.some((rival) => mayUndo(rival, sender)) ? 'indirectly' : undefined
}

function forbids({ type, state_key, content }: ClientEvent, sender: string): boolean {
  if (type === 'm.room.member') return state_key === sender && content.membership !== 'join'
  if (type !== 'm.room.power_levels') return false
  return (content.users?.[sender] ?? content.users_default ?? 0) < (content.events_default ?? 0)
}

/** Returns whether state resolution can revoke the sender's permission because of this event. */
function mayUndo({ type, sender: actor, state_key, content }: ClientEvent, sender: string): boolean {
  if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return true
  return type === 'm.room.member' && (state_key === sender || (actor !== state_key && content.membership !== 'invite'))
}
