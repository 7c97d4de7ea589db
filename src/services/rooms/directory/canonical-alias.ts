import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type UserId } from '../../../core/ids.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { filterAliasesOf } from '../../../storage/rooms/aliases.ts'
import { type LockedRoom, readLockedState, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { mayCurate } from '../access/room-curators.ts'
import { appendEvent } from '../timeline/append-event.ts'

const TYPE = 'm.room.canonical_alias'

/**
 * Checks the aliases that a new `m.room.canonical_alias` adds to its predecessor's. Throws M_INVALID_PARAM for
 * malformed aliases, and M_BAD_ALIAS for one that does not point to this room.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function checkCanonicalAlias(
  room: LockedRoom,
  content: JsonObject,
  replaced: StoredEvent | undefined,
): Promise<void> {
  const known = new Set(replaced && aliasesIn(replaced.pdu.content))
  const added = aliasesIn(content).filter((alias) => !known.has(alias))
  const invalid = added.find((alias) => typeof alias !== 'string' || !isRoomAlias(alias))
  if (invalid !== undefined) throw new InvalidParamError(`${JSON.stringify(invalid)} is not a room alias`)
  const aliases = added as RoomAlias[]
  const ours = aliases.length > 0 ? await filterAliasesOf(room.db, roomIdOf(room), aliases) : new Set()
  const stray = aliases.find((alias) => !ours.has(alias))
  if (stray !== undefined) throw new MatrixError(400, 'M_BAD_ALIAS', `The alias ${stray} does not point to this room`)
}

/** Removes a deleted alias from the room's canonical aliases if the user may; otherwise leaves them unchanged. */
export async function withdrawCanonicalAlias(
  app: App,
  room: LockedRoom,
  { alias, userId }: { alias: RoomAlias; userId: UserId },
): Promise<void> {
  const [current] = await readLockedState(room, [{ type: TYPE, state_key: '' }])
  if (!current || !aliasesIn(current.pdu.content).includes(alias) || !(await mayCurate(room, userId))) return
  const { alias: canonical, alt_aliases: alternatives, ...content } = current.pdu.content
  const left = Array.isArray(alternatives) ? alternatives.filter((other) => other !== alias) : []
  if (canonical !== undefined && canonical !== alias) content.alias = canonical
  if (left.length > 0) content.alt_aliases = left
  await appendEvent(app, room, { type: TYPE, state_key: '', sender: userId, content })
}

/** Returns all values in the places of aliases; null and the empty string mean none. */
function aliasesIn({ alias, alt_aliases: alternatives = [] }: JsonObject): Json[] {
  const others = Array.isArray(alternatives) ? alternatives : [alternatives]
  return [...(alias === undefined || alias === null || alias === '' ? [] : [alias]), ...others]
}
