import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { loadJoinedGuests } from '../../../storage/rooms/membership/room-memberships.ts'
import { type LockedRoom, readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'
import { membershipIn, readMember } from './room-member.ts'

/**
 * Throws M_GUEST_ACCESS_FORBIDDEN unless guests may join the room.
 * https://spec.matrix.org/v1.19/client-server-api/#guest-access
 */
export async function requireGuestAccess(room: LockedRoom): Promise<void> {
  if (!(await admitsGuests(room))) {
    throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not join this room')
  }
}

const ofRoom = z.object({ room_id: z.string().transform((id) => id as RoomId) })

/** Makes local guests leave a room that does not allow guests any more. `job`: its payload. */
export async function removeGuests(app: App, job: Json): Promise<void> {
  const { room_id: roomId } = ofRoom.parse(job)
  await runInRoom(app, roomId, async (room) => {
    if (await admitsGuests(room)) return
    for (const guest of await loadJoinedGuests(room.db, roomId)) {
      if (membershipIn(await readMember(room, guest)) !== 'join') continue
      await appendEvent(app, room, {
        type: 'm.room.member',
        state_key: guest,
        sender: guest,
        content: { membership: 'leave' },
      })
    }
  })
}

async function admitsGuests(room: LockedRoom): Promise<boolean> {
  const [guestAccess] = await readLockedState(room, [{ type: 'm.room.guest_access', state_key: '' }])
  return guestAccess?.pdu.content.guest_access === 'can_join'
}
