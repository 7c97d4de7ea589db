import { sql } from 'kysely'
import { domainOf, type RoomId, type ServerName, serverNameOf, type UserId } from '../core/ids.ts'
import type { Caches } from './caches.ts'
import type { Db, Tx } from './database.ts'
import type { EduRow } from './federation-schema.ts'
import { type AppendedEvent, type LockedRoom, roomIdOf } from './locked-room.ts'
import type { ServerChange } from './other-servers.ts'
import { sharedLoads } from './shared-loads.ts'

/** A room whose servers changed in a transaction. */
export type ServerMoves = {
  changes: readonly ServerChange[]
  /** Servers that have nobody left in a room. */
  departed: readonly { room_id: RoomId; server_name: ServerName }[]
}

/**
 * Queues what the rooms' commands have to send (`LockedRoom.outgoing`) for each other server in the room, and for the server of who is made to
 * leave. A destination that was down for long gets a note of the room instead. Rooms of this server alone cost nothing.
 */
export async function queueEvents(
  tx: Tx,
  ourName: ServerName,
  rooms: readonly LockedRoom[],
  moves: ServerMoves,
): Promise<void> {
  const moved = new Set<string>(moves.changes.map((change) => change.room_id))
  const extra = rooms.flatMap((room) => extraDestinations(room, ourName, moves))
  const addressed = new Set(extra.map(({ event }) => event))
  const events = rooms.flatMap((room) => {
    const isShared = room.hasOtherServers || moved.has(roomIdOf(room))
    return outgoingEvents(room).filter((event) => isShared || addressed.has(event))
  })
  if (events.length === 0) return
  const { rows } = await sql<{ destination: ServerName }>`with sent as (
      select * from unnest(${events.map((event) => event.event_nid)}::bigint[], ${events.map((event) => event.room_id)}::text[],
        ${events.map((event) => originOf(event, ourName))}::text[]) with ordinality
        as sent(event_nid, room_id, origin, place)
    ), targets as (
      select place, event_nid, room_id, server_name as destination, true as is_there
      from sent join room_servers using (room_id) where server_name <> origin
      union all
      select place, event_nid, room_id, destination, false from sent join unnest(${extra.map(({ event }) => event.event_nid)}::bigint[],
        ${extra.map(({ destination }) => destination)}::text[]) as extra(event_nid, destination) using (event_nid)
      where not exists (select 1 from room_servers where room_servers.room_id = sent.room_id and server_name = destination)
    ), known as (
      select targets.*, coalesce(is_lagging, false) and is_there as is_noted, coalesce(failures, 0) = 0 as is_up
      from targets left join federation_destinations using (destination)
    ), noted as (
      insert into federation_room_notes (destination, room_id) select destination, room_id from known where is_noted
      order by destination, room_id on conflict do nothing
    ), queued as (
      insert into federation_queue (destination, room_id, event_nid)
      select destination, room_id, event_nid from known where not is_noted order by place
    )
    select distinct destination from known where is_up`.execute(tx.sql)
  announce(
    tx,
    rows.map((row) => row.destination),
  )
}

/** The server that has the event already. Whoever swaps a third-party invite for a real one sends it in the name of who invited, who may be elsewhere. */
function originOf({ pdu }: AppendedEvent, ourName: ServerName): ServerName {
  const isSwapped = pdu.content.third_party_invite !== undefined && pdu.signatures[ourName] !== undefined
  return isSwapped ? ourName : serverNameOf(pdu.sender)
}

function outgoingEvents(room: LockedRoom): AppendedEvent[] {
  if (room.outgoing.length === 0) return []
  const nids = new Set(room.outgoing)
  return room.events.filter((event) => nids.has(event.event_nid) && !event.rejected && !event.soft_failed)
}

/** Servers without members in the room that get an event all the same: those whose user it makes leave, and of a server's last days all. */
function extraDestinations(
  room: LockedRoom,
  ourName: ServerName,
  { departed }: ServerMoves,
): { event: AppendedEvent; destination: ServerName }[] {
  const outgoing = outgoingEvents(room)
  const farewells = outgoing.flatMap((event) => {
    const server = leavingServer(event)
    // A server that has sent it, as when its user declines an invite, knows it.
    const isKnown = server === undefined || server === ourName || server === originOf(event, ourName)
    return isKnown ? [] : [{ event, destination: server }]
  })
  for (const { room_id, server_name } of departed) {
    if (room_id !== roomIdOf(room)) continue
    const last = room.events.findLastIndex((event) => leavingServer(event) === server_name)
    const before = new Set(room.events.slice(0, last))
    for (const event of outgoing) {
      if (before.has(event)) farewells.push({ event, destination: server_name })
    }
  }
  const unique = new Map(farewells.map((pair) => [`${pair.event.event_nid} ${pair.destination}`, pair]))
  return [...unique.values()]
}

function leavingServer({ pdu }: AppendedEvent): ServerName | undefined {
  const { membership } = pdu.content
  const isFarewell = pdu.type === 'm.room.member' && (membership === 'leave' || membership === 'ban')
  return isFarewell && pdu.state_key !== undefined ? domainOf(pdu.state_key) : undefined
}

/** Something for another server that is no event. */
export type NewEdu = {
  destination: ServerName
  type: string
  content: object
  /** What still waits with the same key is replaced. */
  key?: string
  /** Of what a destination that is down for long gets only the newest. */
  subject?: UserId
  /** Whether it is worth nothing to a destination that is down. */
  isEphemeral?: boolean
}

/** Queues EDUs; those without a key arrive in their order. https://spec.matrix.org/v1.19/server-server-api/#edus */
export async function queueEdus(tx: Tx, edus: readonly NewEdu[]): Promise<void> {
  const unique = [
    ...new Map(edus.map((edu, place) => [edu.key ? `${edu.destination} ${edu.key}` : place, edu])).values(),
  ]
  if (unique.length === 0) return
  const { rows } = await sql<{ destination: ServerName }>`with new as (
      select * from unnest(${unique.map((edu) => edu.destination)}::text[], ${unique.map((edu) => edu.type)}::text[],
        ${unique.map((edu) => JSON.stringify(edu.content))}::text[], ${unique.map((edu) => edu.key ?? null)}::text[],
        ${unique.map((edu) => edu.subject ?? null)}::text[], ${unique.map((edu) => edu.isEphemeral === true)}::boolean[])
        with ordinality as new(destination, edu_type, content, edu_key, subject, is_ephemeral, place)
    ), known as (
      select new.*, coalesce(failures, 0) = 0 as is_up from new left join federation_destinations using (destination)
    ), queued as (
      insert into federation_edus (destination, edu_type, content, edu_key, subject, is_ephemeral)
      select destination, edu_type, content, edu_key, subject, is_ephemeral from known
      where is_up or not is_ephemeral order by destination, edu_key, place
      on conflict (destination, edu_key) do update set content = excluded.content
    )
    select distinct destination from known where is_up`.execute(tx.sql)
  announce(
    tx,
    rows.map((row) => row.destination),
  )
}

type Listener = (destinations: readonly ServerName[]) => void

const listeners = new WeakMap<Caches, Set<Listener>>()

/** Hears to which servers something has been queued, when that is committed, in this process only. Returns how to stop. */
export function onQueued(db: Db, listener: Listener): () => void {
  const known = listeners.get(db.caches) ?? new Set()
  listeners.set(db.caches, known.add(listener))
  return () => known.delete(listener)
}

function announce(tx: Tx, destinations: readonly ServerName[]): void {
  if (destinations.length === 0) return
  tx.afterCommit(() => {
    for (const listener of listeners.get(tx.caches) ?? []) listener(destinations)
  })
}

/** EDUs by number, in the order asked for; those that are gone are left out. Who asks in the same turn shares a query. */
export async function loadEdus(db: Db, nids: readonly number[]): Promise<EduRow[]> {
  if (nids.length === 0) return []
  const found = await loadByNid(db, nids)
  return nids.flatMap((nid) => found.get(nid) ?? [])
}

/** In one query: they may be long. */
const LOADED_AT_ONCE = 1000

const loadByNid = sharedLoads<number, EduRow>(
  async (db, nids) => {
    const found = new Map<number, EduRow>()
    for (let from = 0; from < nids.length; from += LOADED_AT_ONCE) {
      const { rows } = await sql<EduRow>`select * from federation_edus
        where edu_nid = any(${nids.slice(from, from + LOADED_AT_ONCE)}::bigint[])`.execute(db.sql)
      for (const row of rows) found.set(row.edu_nid, row)
    }
    return found
  },
  { whileReading: false },
)
