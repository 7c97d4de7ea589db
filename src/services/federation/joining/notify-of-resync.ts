import type { App } from '../../../app.ts'
import { domainOf, isUserId, type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { noteDeviceListChange } from '../../../storage/devices/device-lists.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import {
  type JoinedRoomMember,
  joinedRoomMember,
  loadOwnMembers,
  storeFoundMembers,
} from '../../../storage/rooms/membership/joined-room-members.ts'
import { loadOtherServersNow } from '../../../storage/rooms/membership/other-servers.ts'
import { loadMembersWithNewDevices } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadEventTexts } from '../../../storage/rooms/timeline/event-texts.ts'
import { type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readNidDiff } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../../storage/rooms/timeline/state-entries.ts'
import type { PartialRoomRow } from '../../../storage/schema/federation.ts'
import { queueWithinLimit } from '../../devices/queue-edus.ts'
import type { RecomputedRoom } from '../../rooms/timeline/recompute-states.ts'
import { devicesForServers } from '../outbound/device-list-edus.ts'

type Capabilities = Pick<App, 'config' | 'serverName' | 'logger'>
type Completion = { partial: PartialRoomRow; recomputed: RecomputedRoom }
/** Members whose events have been read already, by event nid. */
type ReadMembers = ReadonlyMap<number, JoinedRoomMember>
/** The changes of a room's member list: new or changed members, and members who were wrongly assumed. */
type FoundMembers = { found: JoinedRoomMember[]; lost: string[] }

/** Number of events read together. */
const CHUNK = 1000

/** Stores the members found by a resync, and notifies clients and servers, in the transaction that stores the room. */
export async function notifyOfResync(
  app: Capabilities,
  room: LockedRoom,
  { partial, recomputed, members: read }: Completion & { members: ReadMembers },
): Promise<void> {
  const members = await findMembers(room, recomputed, read)
  const { room_id: roomId } = partial
  room.writes.push(async (tx) => {
    const own = await loadOwnMembers(tx, app.serverName, roomId)
    const found = members.found.map(({ user_id }) => user_id)
    const lost = members.lost.filter((userId) => !found.includes(userId))
    await storeFoundMembers(tx, app.serverName, { roomId, found: members.found, lost })
    tellOfMembers(app, tx, roomId, { ...members, own })
    await tellOfDevices(app, tx, { partial, recomputed })
  })
}

async function findMembers(
  room: LockedRoom,
  { before, after }: RecomputedRoom,
  read: ReadMembers,
): Promise<FoundMembers> {
  const { added, removed } = await readNidDiff(room.db, { from: before, to: after, part: 'members' }, overlayOf(room))
  const found: JoinedRoomMember[] = added.flatMap((nid) => read.get(nid) ?? [])
  const unread = added.filter((nid) => !read.has(nid))
  for (let start = 0; start < unread.length; start += CHUNK) {
    for (const { event_nid, json } of await loadEventTexts(room.db, unread.slice(start, start + CHUNK))) {
      const member = joinedRoomMember(JSON.parse(json) as Pdu, event_nid)
      if (member) found.push(member)
    }
  }
  const lost = await loadStateEntries(room.db, removed, overlayOf(room).events)
  return { found, lost: [...lost.values()].map(({ state_key }) => state_key).filter(isUserId) }
}

/**
 * Appends a stream row for each member whose membership was wrong. New members are covered by the row of the resync.
 */
function tellOfMembers(
  { serverName }: Capabilities,
  tx: Tx,
  roomId: RoomId,
  { found, lost, own }: FoundMembers & { own: ReadonlyMap<UserId, { membership: string }> },
): void {
  const now = new Map(found.map((member) => [member.user_id, member]))
  const others = found.filter(({ user_id, membership }) => {
    return domainOf(user_id) === serverName && own.get(user_id as UserId)?.membership !== membership
  })
  for (const userId of new Set([...lost, ...others.map(({ user_id }) => user_id)])) {
    const member = now.get(userId)
    appendToStream(tx, {
      kind: 'state',
      room_id: roomId,
      user_id: userId as UserId,
      ref: member?.event_nid ?? null,
      detail: storableText(member?.membership ?? 'leave'),
    })
  }
}

/**
 * Queues device list changes that were missed while not all servers and members were known: of local users for servers
 * that were in the room unknown to this one, and of remote users for local users who share the room.
 */
async function tellOfDevices(app: Capabilities, tx: Tx, { partial, recomputed }: Completion): Promise<void> {
  const { room_id: roomId, since_position: since } = partial
  const changed = await loadMembersWithNewDevices(tx, roomId, since)
  const isOurs = (userId: UserId) => serverNameOf(userId) === app.serverName
  for (const userId of changed) if (!isOurs(userId)) noteDeviceListChange(tx, userId, 'cross_signing')
  const ours = changed.filter(isOurs)
  if (ours.length === 0) return
  const knownServers = new Set([app.serverName, ...partial.servers])
  const missed = [...(await serversSinceJoin(tx, roomId, recomputed))].filter((server) => !knownServers.has(server))
  await queueWithinLimit(app, tx, await devicesForServers(app, tx, new Map(ours.map((userId) => [userId, missed]))))
}

/** Returns the servers in the room now, and those that sent events there or were removed. */
async function serversSinceJoin(tx: Tx, roomId: RoomId, { events }: RecomputedRoom): Promise<Set<ServerName>> {
  const known = events.flatMap(({ pdu }) => [
    serverNameOf(pdu.sender),
    (pdu.type === 'm.room.member' && domainOf(pdu.state_key ?? '')) || [],
  ])
  return new Set([...(await loadOtherServersNow(tx, roomId)), ...known.flat()])
}
