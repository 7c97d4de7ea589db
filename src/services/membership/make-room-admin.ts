import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { localUsersByPower, type RoomPower, readRoomPower } from '../rooms/administration/local-users-by-power.ts'
import { sendStateLocally } from '../rooms/sending/send-state-locally.ts'
import { inviteUser } from './invite-user.ts'
import { needsInvite } from './needs-invite.ts'

/** The level that a creator gives, whose own power has no number. */
const FULL_POWER = 100

/**
 * Gives a user the power of the local member who has most, in whose name this is done, and invites the user to a room
 * that is not public. Throws M_NOT_FOUND for unknown rooms, and M_INVALID_PARAM if no local member has the power.
 */
export async function makeRoomAdmin(app: App, { roomId, userId }: { roomId: RoomId; userId: UserId }): Promise<void> {
  const power = await readRoomPower(app, roomId)
  const [strongest] = await localUsersByPower(app, roomId)
  const { levels } = power
  if (!strongest || strongest.power < levels.required('m.room.power_levels', true))
    throw new InvalidParamError('No local user in the room has the power to change the power levels')
  const sender = strongest.userId
  if (levels.of(userId) < Math.min(strongest.power, FULL_POWER)) {
    const content = withLevel(power, { sender, target: userId, power: strongest.power })
    await sendStateLocally(app, { roomId, sender, type: 'm.room.power_levels', stateKey: '', content }).catch(explain)
  }
  if (await needsInvite(app, roomId, userId)) await inviteUser(app, { roomId, sender, target: userId, content: {} })
}

type Grant = { sender: UserId; target: UserId; power: number }

/** A room without power levels gets some: its creator keeps the power that such a room implies. */
function withLevel({ levels, powerLevelsEvent }: RoomPower, { sender, target, power }: Grant): JsonObject {
  const content = powerLevelsEvent?.pdu.content ?? {}
  const level = Number.isFinite(power) ? power : FULL_POWER
  const implied = !powerLevelsEvent && Number.isFinite(levels.of(sender)) ? { [sender]: level } : {}
  return { ...content, users: { ...(content.users as JsonObject | undefined), ...implied, [target]: level } }
}

function explain(error: unknown): never {
  if (!(error instanceof ForbiddenError)) throw error
  throw new InvalidParamError(`No local user in the room may change the power levels: ${error.message}`)
}
