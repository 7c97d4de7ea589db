import { sql } from 'kysely'
import { domainOf, type RoomId, type ServerName, serverNameOf } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import { announceQueued } from '../federation/federation-outbox.ts'
import type { ServerChange } from './membership/other-servers.ts'
import { type AppendedEvent, type LockedRoom, roomIdOf } from './timeline/locked-room.ts'

/** A room whose set of servers changed in a transaction. */
export type ServerMoves = {
  changes: readonly ServerChange[]
  /** Servers that have no members left in a room. */
  departed: readonly { room_id: RoomId; server_name: ServerName }[]
}

/**
 * Enqueues the events that the rooms' commands have to send (`LockedRoom.outgoing`) for each remote server in the room,
 * and for the server of a user who is made to leave. A destination that has been down for long gets only a catch-up
 * mark for the room. Rooms without remote servers cost nothing.
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
      select targets.*, coalesce(needs_catch_up, false) and is_there as is_noted, coalesce(failures, 0) = 0 as is_up
      from targets left join federation_destinations using (destination)
    ), noted as (
      insert into federation_room_notes (destination, room_id) select destination, room_id from known where is_noted
      order by destination, room_id on conflict do nothing
    ), queued as (
      insert into federation_queue (destination, room_id, event_nid)
      select destination, room_id, event_nid from known where not is_noted order by place
    )
    select distinct destination from known where is_up`.execute(tx.sql)
  announceQueued(
    tx,
    rows.map((row) => row.destination),
  )
}

/**
 * The server that already has the event. A server that exchanges a third-party invite sends it for the inviter, who may
 * be on another server.
 */
function originOf({ pdu }: AppendedEvent, ourName: ServerName): ServerName {
  const isSwapped = pdu.content.third_party_invite !== undefined && pdu.signatures[ourName] !== undefined
  return isSwapped ? ourName : serverNameOf(pdu.sender)
}

function outgoingEvents(room: LockedRoom): AppendedEvent[] {
  if (room.outgoing.length === 0) return []
  const nids = new Set(room.outgoing)
  return room.events.filter((event) => nids.has(event.event_nid) && !event.rejected && !event.soft_failed)
}

/**
 * Servers without members in the room that still get an event: those whose user it makes leave, and all events of the
 * transaction in which a server's last user leaves.
 */
function extraDestinations(
  room: LockedRoom,
  ourName: ServerName,
  { departed }: ServerMoves,
): { event: AppendedEvent; destination: ServerName }[] {
  const outgoing = outgoingEvents(room)
  const extra = outgoing.flatMap((event) => {
    const server = leavingServer(event)
    // The server that sent it, for instance the leave of a user who rejects an invite, has it.
    const isKnown = server === undefined || server === ourName || server === originOf(event, ourName)
    return isKnown ? [] : [{ event, destination: server }]
  })
  for (const { room_id, server_name } of departed) {
    if (room_id !== roomIdOf(room)) continue
    const last = room.events.findLastIndex((event) => leavingServer(event) === server_name)
    const before = new Set(room.events.slice(0, last))
    for (const event of outgoing) {
      if (before.has(event)) extra.push({ event, destination: server_name })
    }
  }
  const unique = new Map(extra.map((pair) => [`${pair.event.event_nid} ${pair.destination}`, pair]))
  return [...unique.values()]
}

function leavingServer({ pdu }: AppendedEvent): ServerName | undefined {
  const { membership } = pdu.content
  const isLeave = pdu.type === 'm.room.member' && (membership === 'leave' || membership === 'ban')
  return isLeave && pdu.state_key !== undefined ? domainOf(pdu.state_key) : undefined
}
