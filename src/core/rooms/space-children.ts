import { isRoomId, isServerName, type RoomId, type ServerName } from '../ids.ts'
import type { JsonObject, Pdu } from '../pdu.ts'

/** The fields of an event that adds a room to a space, as servers exchange it. */
export type ChildEvent = Pick<Pdu, 'type' | 'state_key' | 'sender' | 'content' | 'origin_server_ts'>

/** A room in a space; `via`: servers that are likely in it. */
export type SpaceChild = { roomId: RoomId; suggested: boolean; via: ServerName[]; event: ChildEvent }

/**
 * Returns the children in a space's state, in order; other events, and children without `via`, are omitted.
 * https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space
 */
export function spaceChildren(state: readonly ChildEvent[]): SpaceChild[] {
  return state
    .flatMap((event): SpaceChild[] => {
      const { type, state_key: roomId = '', content } = event
      if (type !== 'm.space.child' || !isRoomId(roomId) || !hasVia(content)) return []
      return [{ roomId, suggested: content.suggested === true, via: serversOf(content), event }]
    })
    .sort(compare)
}

function hasVia({ via }: JsonObject): boolean {
  return Array.isArray(via) && via.some((server) => typeof server === 'string')
}

function serversOf({ via }: JsonObject): ServerName[] {
  const names = Array.isArray(via) ? via : []
  return names.flatMap((name) => (typeof name === 'string' && isServerName(name) ? [name] : []))
}

function compare(one: SpaceChild, other: SpaceChild): number {
  const [order, otherOrder] = [orderOf(one), orderOf(other)]
  if (order !== otherOrder) {
    if (order === undefined || otherOrder === undefined) return order === undefined ? 1 : -1
    return order < otherOrder ? -1 : 1
  }
  const byTime = one.event.origin_server_ts - other.event.origin_server_ts
  return byTime || (one.roomId < other.roomId ? -1 : 1)
}

/** https://spec.matrix.org/v1.19/client-server-api/#mspacechild */
function orderOf({ event }: SpaceChild): string | undefined {
  const { order } = event.content
  return typeof order === 'string' && /^[\x20-\x7e]{1,50}$/.test(order) ? order : undefined
}
