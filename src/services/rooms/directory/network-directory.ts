import type { App } from '../../../app.ts'
import type { Appservice } from '../../../core/appservice.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import {
  deleteNetworkRoom,
  insertNetworkRoom,
  type Network,
} from '../../../storage/appservices/appservice-directory.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import type { DirectoryVisibility } from './directory.ts'

/** Formats a third-party network of an application service as a `third_party_instance_id`. */
export function networkInstance({ appserviceId, networkId }: Network): string {
  return `${appserviceId}|${networkId}`
}

/** Parses a `third_party_instance_id`; undefined if it is malformed. */
export function parseNetworkInstance(instance: string): Network | undefined {
  const bar = instance.lastIndexOf('|')
  return bar < 0 ? undefined : { appserviceId: instance.slice(0, bar), networkId: instance.slice(bar + 1) }
}

/**
 * Lists a room in the directory of a third-party network, or hides it. Throws M_NOT_FOUND for an unknown room.
 * https://spec.matrix.org/v1.19/application-service-api/#published-room-directories
 */
export async function setNetworkVisibility(
  app: Pick<App, 'database'>,
  appservice: Appservice,
  { networkId, roomId, visibility }: { networkId: string; roomId: RoomId; visibility: DirectoryVisibility },
): Promise<void> {
  if (!(await findRoomHead(app.database, roomId))) throw new NotFoundError('Unknown room')
  const listing = { roomId, appserviceId: appservice.id, networkId }
  await app.database.write((tx) =>
    visibility === 'public' ? insertNetworkRoom(tx, listing) : deleteNetworkRoom(tx, listing),
  )
}
