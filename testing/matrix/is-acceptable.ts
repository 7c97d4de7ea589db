import { canonicalJson } from './canonical-json.ts'
import type { Pdu } from './pdu.ts'

const MAX_ID_BYTES = 255
const MAX_EVENT_BYTES = 65_536
const SERVER = String.raw`[0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\]`
const USER_ID = new RegExp(String.raw`^@[^:\0]*:(${SERVER})(:\d{1,5})?$`)
const ROOM_ID = new RegExp(String.raw`^![^:\0]*:(${SERVER})(:\d{1,5})?$`)

/**
 * Returns whether servers have to accept the form and the size of an event of room version 11:
 * https://spec.matrix.org/v1.19/rooms/v11/#event-format
 */
export function isAcceptableEvent(pdu: Pdu): boolean {
  const { type, state_key: key, room_id, sender, content, depth, origin_server_ts: ts, hashes, unsigned } = pdu
  const isList = (list: unknown, most: number) => Array.isArray(list) && list.length <= most && list.every(isEventId)
  return (
    isName(type) &&
    (key === undefined || isName(key)) &&
    isName(room_id) &&
    ROOM_ID.test(room_id) &&
    isName(sender) &&
    USER_ID.test(sender) &&
    isObject(content) &&
    (unsigned === undefined || isObject(unsigned)) &&
    Number.isSafeInteger(depth) &&
    depth >= 0 &&
    Number.isSafeInteger(ts) &&
    typeof hashes?.sha256 === 'string' &&
    isList(pdu.auth_events, 10) &&
    isList(pdu.prev_events, 20) &&
    isWithinSize(pdu)
  )
}

function isName(text: unknown): text is string {
  return typeof text === 'string' && Buffer.byteLength(text) <= MAX_ID_BYTES && !text.includes('\0')
}

function isEventId(id: unknown): boolean {
  return isName(id) && id.length > 1 && id.startsWith('$')
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isWithinSize(pdu: Pdu): boolean {
  try {
    return Buffer.byteLength(canonicalJson(pdu, { isStrict: true })) <= MAX_EVENT_BYTES
  } catch {
    return false
  }
}
