import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { RoomId } from '../../../core/ids.ts'
import { loadDepartures } from '../../../storage/rooms/removal/room-departures.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { SyncViewer } from './sync-room.ts'

/**
 * Returns the rooms of the user that were deleted since `from`, each with the user's last member event: a leave or ban
 * that the client may not have received, because the events of these rooms are gone.
 */
export async function removedRooms(
  app: Pick<App, 'database'>,
  { userId }: SyncViewer,
  { from, rows }: { from: number | undefined; rows: readonly StreamRow[] },
): Promise<Map<RoomId, Omit<ClientEvent, 'room_id'>>> {
  const rooms = rows.flatMap(({ kind, user_id, ref, detail }) => {
    const isNews = kind === 'departure' && user_id === userId && (ref === null || (from ?? 0) < ref)
    return isNews ? (detail ?? []) : []
  })
  const departures = await loadDepartures(app.database, userId, rooms)
  return new Map(departures.map(({ room_id, event }) => [room_id, JSON.parse(event)]))
}
