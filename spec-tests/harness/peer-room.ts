import { randomUUID } from 'node:crypto'
import { authEventKeys } from '../../testing/matrix/auth-event-keys.ts'
import { buildEvent, type EventDraft, toEvent } from '../../testing/matrix/events.ts'
import type { Event, EventId, Pdu, RoomId, ServerName, UserId } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../testing/matrix/room-versions.ts'
import type { SigningKey } from '../../testing/matrix/signing.ts'

/** A server and its key. */
export type PeerSigner = SigningKey & { serverName: ServerName }

/** https://spec.matrix.org/v1.19/appendices/#canonical-json */
const MAX_DEPTH = Number.MAX_SAFE_INTEGER

/** By type and state key. */
type State = ReadonlyMap<string, EventId>
type Placed = { event: Event; stateBefore: State }

export type PeerEvent = {
  type?: string
  state_key?: string
  content?: object
  sender?: string
  /** Default: the room's latest event. */
  prev_events?: EventId[]
  /** Default: the auth events that the rules select from the state after the first prev event. */
  auth_events?: EventId[]
  /** Default: the room's own server. */
  signer?: PeerSigner
}

/** A room of another server as received in a join: its state, and the join event of the scripted server's user. */
export type VisitedRoom = { version: string; state: readonly Pdu[]; join: Pdu }

/** `creation`: further content of `m.room.create`. */
export type RoomOptions = { version?: string; creation?: object; visited?: VisitedRoom }

/**
 * A room on a scripted server. Nothing is checked or resolved: the state after an event is that of its first prev event
 * with the event itself.
 */
export class PeerRoom {
  readonly roomId: RoomId
  readonly version: RoomVersion
  /** The default sender: the creator, or the user who has joined. */
  readonly creator: UserId
  readonly #signer: PeerSigner
  readonly #placed = new Map<EventId, Placed>()
  #head!: EventId
  #time = Date.now()

  constructor(signer: PeerSigner, { version = '12', creation = {}, visited }: RoomOptions = {}) {
    this.#signer = signer
    this.version = ROOM_VERSIONS.get(visited?.version ?? version)!
    this.creator = visited?.join.sender ?? (`@creator:${signer.serverName}` as UserId)
    this.roomId = visited ? this.#enter(visited) : this.#begin({ version, creation }, signer)
  }

  #enter({ state, join }: VisitedRoom): RoomId {
    const events = state.map((pdu) => toEvent(this.version, pdu))
    const stateBefore = new Map(events.map(({ pdu, event_id }) => [keyOf(pdu.type, pdu.state_key!), event_id]))
    for (const event of [...events, toEvent(this.version, join)]) {
      this.#placed.set(event.event_id, { event, stateBefore })
      this.#head = event.event_id
    }
    return this.latest.room_id
  }

  #begin({ version, creation }: Required<Omit<RoomOptions, 'visited'>>, { serverName }: PeerSigner): RoomId {
    // Makes the IDs of two rooms created in the same millisecond differ.
    const name = randomUUID()
    const content = {
      ...creation,
      room_version: version,
      ...(!this.version.implicitCreator && { creator: this.creator }),
      name,
    }
    const named = this.version.roomIdIsCreateHash ? undefined : (`!${name}:${serverName}` as RoomId)
    const create = this.#build({ type: 'm.room.create', state_key: '', content, prev_events: [] }, named)
    this.#head = create.event_id
    this.#placed.set(create.event_id, { event: create, stateBefore: new Map() })
    this.add({ type: 'm.room.member', state_key: this.creator, content: { membership: 'join' } })
    const users = this.version.privilegedCreators ? {} : { [this.creator]: 100 }
    this.add({ type: 'm.room.power_levels', state_key: '', content: { users } })
    this.add({ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } })
    return create.room_id
  }

  /** Creates an event, which becomes the latest. */
  add(fields: PeerEvent): Event {
    const event = this.make(fields)
    this.#head = event.event_id
    return event
  }

  /** Creates an event without making it the latest. */
  make(fields: PeerEvent): Event {
    const event = this.#build(fields, this.latest.room_id)
    this.#place(event)
    return event
  }

  /** Makes an event the latest. */
  advance(id: EventId): void {
    this.#head = id
  }

  /** Returns the IDs of the newest events. */
  recent(count: number): EventId[] {
    return [...this.#placed.keys()].slice(-count)
  }

  /** Creates a chain of messages. */
  say(count: number, prefix = 'message', more: object = {}): Event[] {
    return Array.from({ length: count }, (_, i) =>
      this.add({ content: { msgtype: 'm.text', body: `${prefix} ${i}`, ...more } }),
    )
  }

  /** Ingests an event of another server, which becomes the latest. */
  take(pdu: Pdu): Event {
    const event = toEvent(this.version, pdu)
    if (this.#placed.has(event.event_id)) return event
    this.#place(event)
    this.#head = event.event_id
    return event
  }

  get latest(): Event {
    return this.find(this.#head)!
  }

  find(id: EventId): Event | undefined {
    return this.#placed.get(id)?.event
  }

  /** Returns the event nearest to a time. */
  near(ts: number): Event {
    const distance = ({ pdu }: Event) => Math.abs(pdu.origin_server_ts - ts)
    const events = [...this.#placed.values()].map(({ event }) => event)
    return events.reduce((best, each) => (distance(each) < distance(best) ? each : best))
  }

  /** Removes an event that it has sent, so that it no longer knows it. */
  forget(id: EventId): void {
    this.#placed.delete(id)
  }

  /** Removes the oldest events except the state, until `kept` are left. */
  trim(kept: number): void {
    const state = new Set(this.#stateAfter(this.#head).values())
    for (const id of this.#placed.keys()) {
      if (this.#placed.size <= kept) return
      if (!state.has(id) && id !== this.#head) this.#placed.delete(id)
    }
  }

  stateBefore(id: EventId): Event[] {
    return [...(this.#placed.get(id)?.stateBefore.values() ?? [])].map((each) => this.find(each)!)
  }

  stateNow(): Event[] {
    return [...this.#stateAfter(this.#head).values()].map((each) => this.find(each)!)
  }

  /** Returns the auth chain of some events. */
  authChain(events: readonly Event[]): Event[] {
    const chain = new Map<EventId, Event>()
    const pending = events.flatMap((event) => event.auth_event_ids)
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const event = chain.has(id) ? undefined : this.find(id)
      if (!event) continue
      chain.set(id, event)
      pending.push(...event.auth_event_ids)
    }
    return [...chain.values()]
  }

  /** Returns the predecessors of some events, nearest first. */
  before(ids: readonly EventId[], { limit, until = [] }: { limit: number; until?: readonly EventId[] }): Event[] {
    const seen = new Set<EventId>(until)
    const found: Event[] = []
    const queue = ids.flatMap((id) => this.find(id)?.prev_event_ids ?? [])
    for (let place = 0; place < queue.length && found.length < limit; place++) {
      const id = queue[place]!
      const event = seen.has(id) ? undefined : this.find(id)
      seen.add(id)
      if (!event) continue
      found.push(event)
      queue.push(...event.prev_event_ids)
    }
    return found
  }

  /** Returns the template for a remote member's join, leave or knock. */
  template(userId: string, membership: string): object {
    const member = { type: 'm.room.member', state_key: userId, sender: userId as UserId, content: { membership } }
    const auth_events = this.#authIds(member, this.#stateAfter(this.#head))
    return { ...member, room_id: this.roomId, depth: this.latest.pdu.depth + 1, prev_events: [this.#head], auth_events }
  }

  #build(fields: PeerEvent, roomId: RoomId | undefined): Event {
    const prev_events = fields.prev_events ?? [this.#head]
    const event = {
      type: 'm.room.message',
      ...(fields.state_key !== undefined && { state_key: fields.state_key }),
      ...fields,
      sender: (fields.sender ?? this.creator) as UserId,
      content: (fields.content ?? {}) as EventDraft['content'],
    }
    const state = prev_events[0] === undefined ? new Map() : this.#stateAfter(prev_events[0])
    const signer = fields.signer ?? this.#signer
    const draft: EventDraft = {
      ...event,
      ...(event.type === 'm.room.member' && { origin: signer.serverName }),
      ...(roomId !== undefined && { room_id: roomId }),
      origin_server_ts: ++this.#time,
      depth: Math.min(1 + Math.max(0, ...prev_events.map((id) => this.find(id)?.pdu.depth ?? 0)), MAX_DEPTH),
      prev_events,
      auth_events: fields.auth_events ?? this.#authIds(event, state),
    }
    return buildEvent(this.version, draft, signer)
  }

  #authIds(event: Pick<EventDraft, 'type' | 'sender' | 'content'> & { state_key?: string }, state: State): EventId[] {
    return authEventKeys(this.version, event as never).flatMap(
      ({ type, state_key }) => state.get(keyOf(type, state_key)) ?? [],
    )
  }

  #place(event: Event): void {
    const first = event.prev_event_ids.find((id) => this.#placed.has(id)) ?? this.#head
    const stateBefore = event.prev_event_ids.length === 0 ? new Map() : this.#stateAfter(first)
    this.#placed.set(event.event_id, { event, stateBefore })
  }

  #stateAfter(id: EventId): State {
    const placed = this.#placed.get(id)
    if (!placed) return new Map()
    const { event, stateBefore } = placed
    const { type, state_key } = event.pdu
    return state_key === undefined ? stateBefore : new Map(stateBefore).set(keyOf(type, state_key), event.event_id)
  }
}

function keyOf(type: string, stateKey: string): string {
  return `${type}\0${stateKey}`
}
