import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import { parseRoomPoint } from '../../../core/pagination-token.ts'
import { findOrderAtPosition } from '../../../storage/rooms/timeline/timeline-pages.ts'

/**
 * Resolves a token to an event_order: the point right after the event with it. Accepts tokens of the room endpoints and
 * of /sync. Throws M_INVALID_PARAM.
 */
export async function orderOfToken(app: Pick<App, 'database'>, roomId: RoomId, token: string): Promise<number> {
  const point = parseRoomPoint(token)
  if (!point) throw new InvalidParamError(`${token} is not a token of this server`)
  return point.kind === 'order' ? point.order : findOrderAtPosition(app.database, roomId, point.position)
}
