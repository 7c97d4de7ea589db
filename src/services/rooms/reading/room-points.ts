import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import { parseRoomPoint } from '../../../core/pagination-token.ts'
import { findOrderAtPosition } from '../../../storage/rooms/timeline/timeline-pages.ts'

/**
 * The event_order that a token of a client names: the point right after the event with it. Takes the tokens of the room
 * endpoints and of /sync alike. Throws M_INVALID_PARAM.
 */
export async function orderOfToken(app: Pick<App, 'database'>, roomId: RoomId, token: string): Promise<number> {
  const point = parseRoomPoint(token)
  if (!point) throw new InvalidParamError(`${token} is not a token of this server`)
  return point.kind === 'order' ? point.order : findOrderAtPosition(app.database, roomId, point.position)
}
