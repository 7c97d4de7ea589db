import type { App } from '../../../app.ts'
import type { Pdu } from '../../../core/pdu.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { readRoomIdentity } from '../../rooms/directory/room-identity.ts'

/**
 * Returns the room's stripped state for a remote user who knocks, as full events with `m.room.create` among them.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid
 */
export async function knockAnswer(app: Pick<App, 'database'>, knock: StoredEvent): Promise<Pdu[]> {
  const identity = await readRoomIdentity(app.database, { root: knock.state_before ?? 0 })
  return identity.map(({ pdu }) => pdu)
}
