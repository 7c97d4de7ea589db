import type { UserId } from '../../../core/ids.ts'
import { powerLevels } from '../../../core/rooms/power-levels.ts'
import { headOf, type LockedRoom, readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'
import { membershipIn, readMember } from './room-member.ts'

/**
 * Returns whether a user may manage the room's aliases and directory entry: joined, with the power to set its canonical
 * alias.
 */
export async function mayCurate(room: LockedRoom, userId: UserId): Promise<boolean> {
  if (membershipIn(await readMember(room, userId)) !== 'join') return false
  const [create, levelsEvent] = await readLockedState(room, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  const levels = powerLevels(headOf(room).version, create!, levelsEvent)
  return levels.of(userId) >= levels.required('m.room.canonical_alias', true)
}
