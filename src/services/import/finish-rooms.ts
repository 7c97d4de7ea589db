import { domainOf, type EventId, isUserId, type RoomId, type UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import type { Membership } from '../../core/rooms/membership.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { shownText, storableName } from '../../storage/engine/storable-text.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { type FormerMember, type ImportedHead, storeImportedRooms } from '../../storage/import/store-imported-rooms.ts'
import { storeOutOfBandRoom } from '../../storage/rooms/room-lists.ts'
import { isFederatable, roomTypeOf, SUMMARISED_TYPES, summaryFields } from '../../storage/rooms/room-summary.ts'
import { readEventsOfStates, storeStateNodes } from '../../storage/rooms/timeline/room-state.ts'
import type { RoomMembershipRow } from '../../storage/schema/rooms.ts'
import type { Tables } from '../../storage/schema/tables.ts'
import type { RoomProgress } from './import-events.ts'
import type { ImportContext } from './import-step.ts'
import type { CurrentChange, ImportedStates } from './imported-states.ts'
import type { ImportPlan } from './room-plan.ts'

type Work = { plan: ImportPlan; states: ImportedStates; progress: ReadonlyMap<RoomId, RoomProgress> }

/**
 * Computes heads, summaries and members of rooms whose events are stored. Returns the function that stores them.
 */
export async function finishRooms(context: ImportContext, work: Work): Promise<(tx: Tx) => Promise<void>> {
  const { plan, states, progress } = work
  const roomIds = [...plan.rooms.keys()]
  const present = roomIds.filter((roomId) => progress.get(roomId)!.root !== 0)
  const roots = await currentRoots(context, work, present)
  const nodes = states.takeNodes()
  const stateNids = new Map<RoomId, ReadonlySet<number>>()
  for (const [roomId, root] of roots) stateNids.set(roomId, new Set(await states.nidsOf(root)))
  const members = await loadMembers(context, { ...work, stateNids, present })
  const own = members.filter(({ user_id }) => domainOf(user_id) === context.serverName)
  const former = await loadFormer(context, own)
  const outliers = new Set(plan.events.flatMap((event) => (event.phase === 'outlier' ? event.ordering : [])))
  const invites = own.filter(({ event_nid }) => outliers.has(event_nid - context.extent.nidShift))
  const outOfBand = await loadOutOfBand(context, work, invites)
  const extremities = await loadExtremities(context, present)
  return async (tx) => {
    await storeStateNodes(tx, nodes)
    const summaries = await summariesOf(tx, { context, work, roots, members, stateNids })
    const heads = present.map((roomId): ImportedHead => {
      const { nextOrder, depth, beginDepth, activity, bump } = progress.get(roomId)!
      return {
        room_id: roomId,
        room_version: plan.rooms.get(roomId)!.version.id,
        create_nid: summaries.creates.get(roomId) ?? 0,
        state_root: roots.get(roomId)!,
        depth,
        next_order: nextOrder,
        forward_extremities: extremities.get(roomId) ?? (progress.get(roomId)!.extremities as EventId[]),
        begin_depth: beginDepth,
        activity,
        bump,
      }
    })
    const { nidShift } = context.extent
    await storeImportedRooms(tx, context.serverName, { heads, rooms: summaries.rooms, members, former, nidShift })
    await storeOutOfBand(tx, outOfBand)
  }
}

/** Returns the roots of the current states as Synapse has resolved them. It forgets those of rooms that it left. */
async function currentRoots(
  { main, extent }: ImportContext,
  { plan, states, progress }: Work,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, number>> {
  const rows = await main.query<CurrentChange & { room_id: RoomId; event_id: string }>(
    'select room_id, type, state_key, event_id from current_state_events where room_id = any($1)',
    [roomIds],
  )
  const current = Map.groupBy(rows, ({ room_id }) => room_id)
  const roots = new Map<RoomId, number>()
  for (const roomId of roomIds) {
    const root = progress.get(roomId)!.root
    const wanted = current.get(roomId)
    if (!wanted) {
      roots.set(roomId, root)
      continue
    }
    const known = new Set(await states.nidsOf(root))
    const isSame =
      wanted.length === known.size && wanted.every(({ event_id }) => known.has(nidOf(plan, extent, event_id)))
    // Starts from nothing: a difference would also have to name the keys that are gone.
    roots.set(roomId, isSame ? root : await states.apply(roomId, 0, wanted))
  }
  return roots
}

function nidOf(plan: ImportPlan, { nidShift }: ImportContext['extent'], eventId: string): number {
  const planned = plan.byId.get(eventId)
  return planned ? planned.ordering + nidShift : 0
}

type MemberRow = {
  event_id: string
  room_id: RoomId
  user_id: UserId
  membership: Membership
  display_name: string | null
  avatar_url: string | null
  forgotten: unknown
}

const MEMBER_COLUMNS = `members.event_id, members.room_id, members.user_id, members.membership, members.display_name,
  members.avatar_url, members.forgotten`

/** Returns the members of rooms; for local users also where this server is not in the room. */
async function loadMembers(
  { main, extent }: ImportContext,
  { plan, stateNids, present }: Work & Pick<Summarised, 'stateNids'> & { present: readonly RoomId[] },
): Promise<RoomMembershipRow[]> {
  const current = await main.query<MemberRow>(
    `select ${MEMBER_COLUMNS} from current_state_events as current
      join room_memberships as members on members.event_id = current.event_id
      where current.room_id = any($1) and current.type = 'm.room.member'`,
    [present],
  )
  const having = new Set(current.map(({ room_id }) => room_id))
  const left: string[] = []
  const eventOf = new Map(plan.events.map((event) => [event.ordering + extent.nidShift, event.event_id]))
  for (const roomId of present)
    if (!having.has(roomId)) left.push(...[...stateNids.get(roomId)!].flatMap((nid) => eventOf.get(nid) ?? []))
  const former = await main.query<MemberRow>(
    `select ${MEMBER_COLUMNS} from room_memberships as members where event_id = any($1)`,
    [left],
  )
  const local = await main.query<MemberRow>(
    `select ${MEMBER_COLUMNS} from local_current_membership as local
      join room_memberships as members on members.event_id = local.event_id where local.room_id = any($1)`,
    [[...plan.rooms.keys()]],
  )
  const all = [...current, ...former, ...local].filter(
    ({ user_id, event_id }) => isUserId(user_id) && plan.byId.has(event_id),
  )
  return [...new Map(all.map((row) => [`${row.room_id} ${row.user_id}`, memberOf(row, plan, extent)])).values()]
}

function memberOf(row: MemberRow, plan: ImportPlan, extent: ImportContext['extent']): RoomMembershipRow {
  const isOut = row.membership === 'leave' || row.membership === 'ban'
  return {
    room_id: row.room_id,
    user_id: row.user_id,
    membership: row.membership,
    event_nid: nidOf(plan, extent, row.event_id),
    displayname: row.display_name === null ? null : shownText(row.display_name),
    avatar_url: row.avatar_url === null ? null : shownText(row.avatar_url),
    forgotten: Boolean(row.forgotten) && isOut,
  }
}

/** Returns local users who have left rooms after they were in them, or were invited to them. */
async function loadFormer({ main }: ImportContext, own: readonly RoomMembershipRow[]): Promise<FormerMember[]> {
  const gone = own.filter(({ membership }) => membership === 'leave' || membership === 'ban')
  if (gone.length === 0) return []
  const rows = await main.query<{ room_id: RoomId; user_id: UserId; joins: number }>(
    `select room_id, user_id, sum(case when membership = 'join' then 1 else 0 end) as joins from room_memberships
      where room_id = any($1) and user_id = any($2) and membership in ('join', 'invite', 'knock')
      group by room_id, user_id`,
    [[...new Set(gone.map(({ room_id }) => room_id))], [...new Set(gone.map(({ user_id }) => user_id))]],
  )
  return rows.map(({ room_id, user_id, joins }) => ({ room_id, user_id, was_joined: Number(joins) > 0 }))
}

async function loadExtremities({ main }: ImportContext, roomIds: readonly RoomId[]): Promise<Map<RoomId, EventId[]>> {
  const rows = await main.query<{ room_id: RoomId; event_id: EventId }>(
    'select room_id, event_id from event_forward_extremities where room_id = any($1) order by event_id',
    [roomIds],
  )
  const byRoom = Map.groupBy(rows, ({ room_id }) => room_id)
  return new Map([...byRoom].map(([roomId, each]) => [roomId, each.map(({ event_id }) => event_id)]))
}

type Summarised = {
  context: ImportContext
  work: Work
  roots: ReadonlyMap<RoomId, number>
  members: readonly RoomMembershipRow[]
  /** The events of each room's current state. */
  stateNids: ReadonlyMap<RoomId, ReadonlySet<number>>
}

/** Reads what directories show from the states that the transaction has stored. */
async function summariesOf(
  tx: Tx,
  { context: { serverName }, work: { plan }, roots, members, stateNids }: Summarised,
): Promise<{ rooms: Tables['rooms'][]; creates: Map<RoomId, number> }> {
  const types = ['m.room.create', ...SUMMARISED_TYPES]
  const lookups = [...roots].flatMap(([room_id, root]) => types.map((type) => ({ room_id, root, type, state_key: '' })))
  const found = await readEventsOfStates(tx, lookups)
  const membersOf = Map.groupBy(members, ({ room_id }) => room_id)
  const rooms: Tables['rooms'][] = []
  const creates = new Map<RoomId, number>()
  for (const [place, roomId] of [...roots.keys()].entries()) {
    const [create, ...others] = found.slice(place * types.length, (place + 1) * types.length)
    const { version, isPublic } = plan.rooms.get(roomId)!
    if (create) creates.set(roomId, create.event_nid)
    const own = membersOf.get(roomId) ?? []
    const inState = stateNids.get(roomId)!
    rooms.push({
      ...EMPTY_SUMMARY,
      ...Object.assign({}, ...others.map((event) => (event ? summaryFields(event.pdu) : {}))),
      room_id: roomId,
      room_version: version.id,
      creator: create?.pdu.sender ?? ('' as UserId),
      in_directory: isPublic,
      room_type: create ? roomTypeOf(create.pdu) : null,
      federatable: create ? isFederatable(create.pdu) : true,
      joined_members: own.filter(isJoined).length,
      invited_members: own.filter(({ membership }) => membership === 'invite').length,
      joined_local_members: own.filter((member) => isJoined(member) && domainOf(member.user_id) === serverName).length,
      member_events: own.length,
      other_state_events: inState.size - own.filter(({ event_nid }) => inState.has(event_nid)).length,
    })
  }
  return { rooms, creates }
}

const EMPTY_SUMMARY = {
  name: null,
  topic: null,
  canonical_alias: null,
  avatar_url: null,
  join_rule: null,
  guest_access: null,
  history_visibility: null,
  encryption: null,
  tombstone: null,
  max_lifetime: null,
  min_lifetime: null,
}

function isJoined({ membership }: RoomMembershipRow): boolean {
  return membership === 'join'
}

type OutOfBand = {
  versions: { room_id: RoomId; room_version: string }[]
  states: { event_nid: number; events: string }[]
  contacts: { room_id: RoomId; user_id: UserId; server_name: string }[]
  listed: Parameters<typeof storeOutOfBandRoom>[1][]
}

/** Reads invites to and knocks on rooms that this server is not in: the room's state came with the member event. */
async function loadOutOfBand(
  { main, serverName }: ImportContext,
  { plan }: Work,
  members: readonly RoomMembershipRow[],
): Promise<OutOfBand> {
  const pending = members.filter(({ membership }) => membership === 'invite' || membership === 'knock')
  const versions = [...new Set(members.map(({ room_id }) => room_id))].map((room_id) => ({
    room_id,
    room_version: plan.rooms.get(room_id)!.version.id,
  }))
  const rows = await main.query<{ user_id: UserId; room_id: RoomId; sender: string; json: string }>(
    `select members.user_id, members.room_id, members.sender, json from local_current_membership as local
      join room_memberships as members on members.event_id = local.event_id
      join event_json on event_json.event_id = local.event_id
      where local.room_id = any($1) and local.membership in ('invite', 'knock')`,
    [pending.map(({ room_id }) => room_id)],
  )
  const found: OutOfBand = { versions, states: [], contacts: [], listed: [] }
  for (const { user_id, room_id, sender, json } of rows) {
    const member = pending.find((each) => each.room_id === room_id && each.user_id === user_id)
    if (!member) continue
    const server = domainOf(sender)
    if (server !== undefined && server !== serverName) found.contacts.push({ room_id, user_id, server_name: server })
    const unsigned = (JSON.parse(json).unsigned ?? {}) as JsonObject
    const state = (unsigned.invite_room_state ?? unsigned.knock_room_state ?? []) as JsonObject[]
    found.states.push({ event_nid: member.event_nid, events: JSON.stringify(state.map(stripped)) })
    const contentOf = (type: string) => state.find((event) => event.type === type)?.content as JsonObject | undefined
    const roomType = contentOf('m.room.create')?.type
    found.listed.push({
      roomId: room_id,
      userId: user_id,
      type: typeof roomType === 'string' ? storableName(roomType) : null,
      isEncrypted: contentOf('m.room.encryption') !== undefined,
    })
  }
  return found
}

function stripped({ type, state_key, sender, content }: JsonObject): JsonObject {
  return { type: type!, state_key: state_key ?? '', sender: sender!, content: content ?? {} }
}

async function storeOutOfBand(tx: Tx, { versions, states, contacts, listed }: OutOfBand): Promise<void> {
  await insertRows(tx, 'out_of_band_rooms', versions)
  await insertRows(tx, 'stripped_states', states)
  await insertRows(tx, 'room_contacts', contacts)
  for (const room of listed) await storeOutOfBandRoom(tx, room)
}
