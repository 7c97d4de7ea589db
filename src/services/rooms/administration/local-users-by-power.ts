import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { creatorsOf, type PowerLevels, powerLevels, statedLevels } from '../../../core/rooms/power-levels.ts'
import { loadJoinedAmongUsers } from '../../../storage/rooms/membership/local-members.ts'
import { readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { requireRoom } from './describe-room.ts'

export type PowerfulUser = { userId: UserId; power: number }

/** The state that decides about power in a room. */
export type RoomPower = {
  version: RoomVersion
  levels: PowerLevels
  create: StoredEvent
  powerLevelsEvent: StoredEvent | undefined
}

/** Users that are tried, one after the other. */
const MAX_USERS = 20

/** Reads the power levels of a room. Throws M_NOT_FOUND for unknown rooms. */
export async function readRoomPower(app: Pick<App, 'database'>, roomId: RoomId): Promise<RoomPower> {
  const { version, state_root: root } = await requireRoom(app, roomId)
  const [create, powerLevelsEvent] = await readStateEvents(app.database, root, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  return { version, levels: powerLevels(version, create!, powerLevelsEvent), create: create!, powerLevelsEvent }
}

/**
 * Returns local users who have joined a room, those with most power first; without locked, suspended and deactivated
 * ones, in whose names nothing is done. Throws M_NOT_FOUND for unknown rooms.
 */
export async function localUsersByPower(app: Pick<App, 'database'>, roomId: RoomId): Promise<PowerfulUser[]> {
  const { version, levels, create, powerLevelsEvent } = await readRoomPower(app, roomId)
  const named = [
    ...creatorsOf(version, create),
    ...(powerLevelsEvent ? statedLevels(version, powerLevelsEvent).users.keys() : []),
  ]
  const users = await loadJoinedAmongUsers(app.database, roomId, { preferred: named, limit: MAX_USERS })
  return users
    .map((userId) => ({ userId, power: levels.of(userId) }))
    .sort((one, other) => (other.power === one.power ? 0 : other.power - one.power))
}
