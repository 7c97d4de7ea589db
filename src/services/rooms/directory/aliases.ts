import type { App } from '../../../app.ts'
import type { Appservice } from '../../../core/appservice.ts'
import { ForbiddenError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { requireCount } from '../../../core/limits.ts'
import { violatesUnique } from '../../../storage/engine/database.ts'
import {
  countRoomAliases,
  deleteAlias,
  findLocalAlias,
  insertRoomAlias,
  loadRoomAliases,
  ROOM_ALIAS_KEY,
} from '../../../storage/rooms/aliases.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import { findRoom } from '../../../storage/rooms/room-summary.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { mayCurate } from '../access/room-curators.ts'
import { runInRoom } from '../timeline/run-in-room.ts'
import { type AliasAskingApp, askForAlias } from './ask-for-alias.ts'
import { withdrawCanonicalAlias } from './canonical-alias.ts'
import { requireLocalAlias, requireUnreservedAlias } from './new-alias.ts'

export type ResolvingApp = AliasAskingApp & Pick<App, 'database' | 'serverName' | 'reading' | 'remote'>

/** Maximum number of servers in a response: enough to join through some of them. */
const MAX_SERVERS = 50

/** `appservice`: the application service that makes the request. It may manage all aliases in its namespaces. */
type Requester = { userId: UserId; isAdmin: boolean; appservice: Appservice | null }

/**
 * Resolves a local alias to a room and servers in it. Throws M_NOT_FOUND, and 408 if an application service that may
 * know it does not answer.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias
 */
export async function resolveRoomAlias(
  app: ResolvingApp,
  alias: RoomAlias,
): Promise<{ room_id: RoomId; servers: ServerName[] }> {
  const found = (await findLocalAlias(app.database, alias)) ?? (await askedFor(app, alias))
  if (!found) throw new NotFoundError(`The alias ${alias} does not exist`)
  const servers = await loadRoomServers(app.database, found.room_id, MAX_SERVERS)
  return { room_id: found.room_id, servers: [...new Set([app.serverName, ...servers])] }
}

async function askedFor(app: ResolvingApp, alias: RoomAlias) {
  return (await askForAlias(app, alias)) ? findLocalAlias(app.database, alias) : undefined
}

/**
 * Creates an alias for a room that the user is in. Throws M_INVALID_PARAM, M_FORBIDDEN, M_EXCLUSIVE, M_NOT_FOUND for an
 * unknown room, M_TOO_LARGE, and 409 M_UNKNOWN for an existing alias.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias
 */
export async function createRoomAlias(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'spamChecks'>,
  { alias, roomId, userId, isAdmin, appservice }: { alias: RoomAlias; roomId: RoomId } & Requester,
): Promise<void> {
  const room_alias = requireLocalAlias(app, alias)
  requireUnreservedAlias(app, alias, { userId, appservice })
  const membership = await findMembership(app.database, roomId, userId)
  if (membership?.membership !== 'join' && !isAdmin && !appservice) throw new ForbiddenError('You are not in this room')
  if (!(await findRoomHead(app.database, roomId))) throw new NotFoundError('Unknown room')
  await app.spamChecks?.check('user_may_create_room_alias', () => ({ user_id: userId, room_alias }))
  try {
    await app.database.write(async (tx) => {
      if (!appservice) requireCount(app.config.limits, 'room_aliases', 1 + (await countRoomAliases(tx, roomId)))
      await insertRoomAlias(tx, { room_alias, room_id: roomId, creator: userId })
    })
  } catch (error) {
    if (!violatesUnique(error, ROOM_ALIAS_KEY)) throw error
    throw new MatrixError(409, 'M_UNKNOWN', `The alias ${alias} exists already`)
  }
}

/**
 * Deletes an alias, and removes it from the room's canonical aliases if the user may change these. Allowed for its
 * creator, users who may set the room's canonical alias, and administrators. Throws M_INVALID_PARAM, M_NOT_FOUND and
 * M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias
 */
export async function removeRoomAlias(
  app: App,
  { alias, userId, isAdmin, appservice }: { alias: RoomAlias } & Requester,
): Promise<void> {
  const room_alias = requireLocalAlias(app, alias)
  if (!isAdmin) requireUnreservedAlias(app, room_alias, { userId, appservice })
  const found = await findLocalAlias(app.database, room_alias)
  if (!found) throw new NotFoundError(`The alias ${alias} does not exist`)
  await runInRoom(app, found.room_id, async (room) => {
    if (found.creator !== userId && !isAdmin && !appservice && !(await mayCurate(room, userId))) {
      throw new ForbiddenError('Only its creator, moderators of the room and administrators may remove an alias')
    }
    await withdrawCanonicalAlias(app, room, { alias, userId })
    room.writes.push((tx) => deleteAlias(tx, found))
  })
}

/**
 * Lists the local aliases of a room. Throws M_FORBIDDEN for users without access to the room.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases
 */
export async function listRoomAliases(
  app: Pick<App, 'database'>,
  { roomId, userId, isAdmin }: { roomId: RoomId } & Omit<Requester, 'appservice'>,
): Promise<RoomAlias[]> {
  const membership = await findMembership(app.database, roomId, userId)
  if (membership?.membership !== 'join' && !isAdmin) {
    const room = await findRoom(app.database, roomId)
    if (room?.history_visibility !== 'world_readable') throw new ForbiddenError('You are not in this room')
  }
  return loadRoomAliases(app.database, roomId)
}
