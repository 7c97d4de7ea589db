import type { App } from '../../../app.ts'
import type { Appservice } from '../../../core/appservice.ts'
import { BadJsonError, ForbiddenError, MatrixError } from '../../../core/errors.ts'
import { type RoomAlias, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { requireCount } from '../../../core/limits.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import { type Tx, violatesUnique } from '../../../storage/engine/database.ts'
import { findLocalAlias, insertRoomAlias, ROOM_ALIAS_KEY } from '../../../storage/rooms/aliases.ts'
import { setInDirectory } from '../../../storage/rooms/room-summary.ts'
import { type LockedRoom, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { loadProfiles } from '../../../storage/users/profiles.ts'
import { requireInvitable } from '../access/invitable.ts'
import type { DirectoryVisibility } from '../directory/directory.ts'
import { newAlias, requireUnreservedAlias } from '../directory/new-alias.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { type InitialEvent, initialEvents, type RoomPlan } from './initial-events.ts'
import type { Preset } from './presets.ts'

/** The parameters of https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom */
export type RoomRequest = {
  /** Whether the directory lists the room; default: private. */
  visibility?: DirectoryVisibility | null | undefined
  /** Default: depends on the visibility. */
  preset?: Preset | null | undefined
  /** Localpart of the canonical alias. */
  aliasName?: string | null | undefined
  name?: string | null | undefined
  topic?: string | null | undefined
  invite?: readonly UserId[] | null | undefined
  isDirect?: boolean | null | undefined
  /** Default: as configured. */
  roomVersion?: string | null | undefined
  creationContent?: JsonObject | null | undefined
  initialState?: readonly InitialEvent[] | null | undefined
  powerLevelOverride?: JsonObject | null | undefined
  /** The application service that makes the request. */
  appservice?: Appservice | null | undefined
  /** Whether the caller invites all users, local ones too, once the room exists. */
  invitesLater?: boolean
  /** A further write in the same transaction. */
  alongWith?: (tx: Tx, roomId: RoomId) => Promise<void>
}

/**
 * How often to retry with a slightly later timestamp when a room ID is taken: it is the hash of the first event, which
 * is equal for identical rooms that one user creates in the same millisecond.
 */
const ATTEMPTS = 10

/**
 * Creates a room with all requested state in one transaction; remote users are not invited yet. Throws
 * M_UNSUPPORTED_ROOM_VERSION, M_INVALID_PARAM, M_BAD_JSON, M_TOO_LARGE, M_INVITE_BLOCKED, M_ROOM_IN_USE for a taken
 * alias, M_EXCLUSIVE for a reserved one, and M_INVALID_ROOM_STATE for events that the authorization rules reject.
 */
export async function createLocally(app: App, creator: UserId, request: RoomRequest): Promise<RoomId> {
  const plan = await planRoom(app, creator, request)
  for (let attempt = 0; ; attempt++) {
    try {
      return await buildRoom(app, plan, {
        attempt,
        isListed: request.visibility === 'public',
        alongWith: request.alongWith,
      })
    } catch (error) {
      if (violatesUnique(error, ROOM_ALIAS_KEY)) throw aliasInUse()
      if (attempt === ATTEMPTS || !violatesUnique(error, 'events_event_id_key')) throw error
    }
  }
}

async function planRoom(app: App, creator: UserId, request: RoomRequest): Promise<RoomPlan> {
  const { visibility, preset, aliasName, name, topic, initialState } = request
  const invitees = [...new Set(request.invite)]
  const alias = aliasName ? newAlias(app, aliasName) : undefined
  if (alias !== undefined)
    requireUnreservedAlias(app, alias, { userId: creator, appservice: request.appservice ?? null })
  const version = roomVersion(request.roomVersion ?? app.config.default_room_version)
  requireCount(app.config.limits, 'initial_state', initialState?.length ?? 0)
  for (const event of initialState ?? []) requireMemberless(event)
  await requireInvitable(app, { inviter: creator, userIds: invitees })
  return {
    creator,
    version,
    preset: preset ?? (visibility === 'public' ? 'public_chat' : 'private_chat'),
    alias,
    name: name ?? undefined,
    topic: topic ?? undefined,
    invitees,
    ownInvitees: request.invitesLater ? [] : invitees.filter((userId) => serverNameOf(userId) === app.serverName),
    isDirect: request.isDirect ?? false,
    creationContent: request.creationContent ?? {},
    initialState: initialState ?? [],
    powerLevelOverride: request.powerLevelOverride ?? {},
    serverAcl: serverAclOf(app),
    profiles: await loadProfiles(app.database, [creator, ...invitees]),
  }
}

/** An ACL that denies nobody is left out. */
function serverAclOf({ config }: Pick<App, 'config'>): JsonObject | undefined {
  const { allow, deny, allow_ip_literals } = config.abuse.room_acl
  const deniesSomebody = deny.length > 0 || !allow.includes('*') || !allow_ip_literals
  return deniesSomebody ? { allow, deny, allow_ip_literals } : undefined
}

function roomVersion(id: string): RoomVersion {
  const version = ROOM_VERSIONS.get(id)
  if (!version) throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', `The room version ${id} is not supported`)
  return version
}

/** Invites have a parameter of their own, where they are checked; only bans may be set here. */
function requireMemberless({ type, content }: InitialEvent): void {
  if (type !== 'm.room.member' || content.membership === 'ban') return
  throw new BadJsonError('initial_state: members are invited by invite; only bans can be set here')
}

function buildRoom(
  app: App,
  plan: RoomPlan,
  how: { attempt: number; isListed: boolean; alongWith: RoomRequest['alongWith'] },
): Promise<RoomId> {
  // The command may run twice.
  const newRoomId = `!${app.random.token(18)}:${app.serverName}` as RoomId
  const createdAt = app.clock.now() + (how.attempt === 0 ? 0 : 1 + app.random.bytes(1)[0]!)
  return app.rooms.run(null, async (room) => {
    if (!plan.version.roomIdIsCreateHash) room.newRoomId = newRoomId
    for (const event of initialEvents(plan)) {
      const timestamp = event.type === 'm.room.create' ? { origin_server_ts: createdAt } : {}
      await appendInitial(app, room, { ...event, ...timestamp, sender: plan.creator })
    }
    const roomId = roomIdOf(room)
    if (plan.alias !== undefined)
      await addAlias(room, { room_alias: plan.alias, room_id: roomId, creator: plan.creator })
    if (how.isListed) room.writes.push((tx) => setInDirectory(tx, roomId, true))
    const { alongWith } = how
    if (alongWith) room.writes.push((tx) => alongWith(tx, roomId))
    return roomId
  })
}

async function appendInitial(app: App, room: LockedRoom, event: Parameters<typeof appendEvent>[2]): Promise<void> {
  try {
    await appendEvent(app, room, event)
  } catch (error) {
    if (!(error instanceof ForbiddenError)) throw error
    throw new MatrixError(400, 'M_INVALID_ROOM_STATE', `${event.type}: ${error.message}`)
  }
}

async function addAlias(
  room: LockedRoom,
  alias: { room_alias: RoomAlias; room_id: RoomId; creator: UserId },
): Promise<void> {
  if (await findLocalAlias(room.db, alias.room_alias)) throw aliasInUse()
  room.writes.push((tx) => insertRoomAlias(tx, alias))
}

function aliasInUse(): MatrixError {
  return new MatrixError(400, 'M_ROOM_IN_USE', 'The alias exists already')
}
