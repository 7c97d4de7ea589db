import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { noteActivity } from '../../../services/presence/note-activity.ts'
import { type Marker, setMarkers } from '../../../services/rooms/sending/receipts.ts'
import type { Session } from '../../http/route.ts'

/** Sets markers of a user, who is active. Receipts of shadow-banned users are private. Throws as `setMarkers`. */
export async function setOwnMarkers(
  app: App,
  { userId, isShadowBanned }: Session,
  { roomId, markers }: { roomId: RoomId; markers: readonly Marker[] },
): Promise<void> {
  const isHidden = ({ type }: Marker) => isShadowBanned && type === 'm.read'
  const shown = markers.map((marker): Marker => (isHidden(marker) ? { ...marker, type: 'm.read.private' } : marker))
  await setMarkers(app, { roomId, userId, markers: shown })
  if (!isShadowBanned) noteActivity(app, userId)
}
