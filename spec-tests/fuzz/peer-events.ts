import { signAnything } from '../../testing/matrix/events.ts'
import type { Event, EventId, Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import type { PeerEvent, PeerRoom, PeerSigner } from '../harness/peer-room.ts'
import type { Draw } from './draw.ts'
import { drawMessage, drawState } from './event-values.ts'
import { hostileJson, hostileText, writeJson } from './hostile-json.ts'
import { mutate } from './mutate.ts'
import { fillIn, type Kind } from './references.ts'

/** A PDU to send, and its event if it is valid. */
export type DrawnPdu = { pdu: unknown; valid?: Event }

export type PeerDrawing = {
  draw: Draw
  room: PeerRoom
  signer: PeerSigner
  /** Members of the room on the sending server. */
  members: readonly string[]
  /** Whether these may send state. */
  hasPower: boolean
  recall(kind: Kind): string
}

const VARIANTS = {
  valid: 55,
  'changed before it is signed': 16,
  'changed after it is signed': 8,
  'other references': 9,
  'odd numbers': 4,
  'of another version': 3,
  'of another sender': 5,
}
const NUMBERS = [0, 1, -1, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e300, 1.5]

/** Draws an event of a room, valid or with an error. */
export function drawPdu(drawing: PeerDrawing): DrawnPdu {
  const { draw, room } = drawing
  const made = makeEvent(drawing, drawFields(drawing))
  // A PDU without canonical JSON is sent unchanged, signed as far as possible.
  if (!made.event) return { pdu: signed(drawing, { ...room.latest.pdu, ...made.fields }) }
  const { pdu } = made.event
  switch (draw.weighted(VARIANTS)) {
    case 'changed before it is signed':
      return { pdu: signed(drawing, filled(drawing, mutate(draw, pdu))) }
    case 'changed after it is signed':
      return { pdu: filled(drawing, mutate(draw, pdu)) }
    case 'other references':
      return { pdu: signed(drawing, { ...pdu, ...otherReferences(drawing, pdu) }) }
    case 'odd numbers':
      return { pdu: signed(drawing, { ...pdu, [draw.pick(['depth', 'origin_server_ts'])]: draw.pick(NUMBERS) }) }
    case 'of another version': {
      const version = draw.pick([...ROOM_VERSIONS.keys()])
      return { pdu: signAnything(pdu, version, drawing.signer) }
    }
    case 'of another sender': {
      const senders = [drawing.recall('user'), `@other:${drawing.signer.serverName}`, draw.value(hostileText)]
      return { pdu: signed(drawing, { ...pdu, sender: draw.pick(senders) }) }
    }
    default:
      return { pdu, valid: made.event }
  }
}

/** Draws type, state key, content and sender of an event that the sender may send, or sometimes may not. */
function drawFields(drawing: PeerDrawing): PeerEvent {
  const { draw, members, hasPower, recall } = drawing
  const sender = draw.pick(members)
  const kind = draw.weighted({ message: 60, state: hasPower ? 20 : 4, member: 12, redaction: 8 })
  if (kind === 'member') return { sender, type: 'm.room.member', ...drawMember(drawing, sender) }
  if (kind === 'redaction') {
    const redacts = draw.happens(0.9) ? recall('event') : draw.value(hostileText)
    return { sender, type: 'm.room.redaction', content: { reason: 'spam' }, redacts } as PeerEvent
  }
  const value = fillIn(kind === 'state' ? drawState(draw) : drawMessage(draw), recall) as PeerEvent
  const content = draw.happens(0.3) ? filled(drawing, mutate(draw, value.content)) : value.content
  const isObject = typeof content === 'object' && content !== null && !Array.isArray(content)
  return { ...value, sender, content: isObject ? content : { any: content } }
}

function drawMember({ draw, members, recall }: PeerDrawing, sender: string): Pick<PeerEvent, 'state_key' | 'content'> {
  const membership = draw.weighted({ join: 6, invite: 3, leave: 1, ban: 1, knock: 1 })
  const profile = {
    ...(draw.happens(0.7) && { displayname: draw.happens(0.5) ? 'Peer' : draw.value(hostileJson) }),
    ...(draw.happens(0.3) && { avatar_url: draw.happens(0.5) ? recall('mxc') : draw.value(hostileJson) }),
    ...(draw.happens(0.1) && { third_party_invite: draw.value(hostileJson) }),
    ...(draw.happens(0.1) && { join_authorised_via_users_server: recall('user') }),
  }
  const isOwn = membership === 'join' || (membership === 'leave' && draw.happens(0.2))
  const state_key = isOwn ? sender : draw.happens(0.5) ? recall('user') : draw.pick(members)
  return { state_key, content: { membership, ...profile } }
}

function makeEvent(drawing: PeerDrawing, fields: PeerEvent): { fields: PeerEvent; event?: Event } {
  try {
    return { fields, event: drawing.room.make(fields) }
  } catch {
    return { fields }
  }
}

function otherReferences({ draw, room, recall }: PeerDrawing, pdu: Pdu): Partial<Record<keyof Pdu, unknown>> {
  const unknown = '$unknownunknownunknownunknownunknownunknown1'
  const ids = (count: number) => Array.from({ length: count }, () => recall('event'))
  const lists: unknown[] = [
    [],
    [unknown],
    [recall('event')],
    [recall('event'), unknown],
    ids(3),
    ids(21),
    [...(pdu.auth_events as EventId[]), ...(pdu.prev_events as EventId[])],
    [draw.value(hostileJson)],
    [[recall('event'), {}]],
  ]
  return {
    ...(draw.happens(0.6) && { prev_events: draw.pick(lists) }),
    ...(draw.happens(0.5) && { auth_events: draw.pick(lists) }),
    ...(draw.happens(0.1) && { room_id: draw.pick([recall('room'), '!unknown:elsewhere.test', room.roomId]) }),
    ...(draw.happens(0.1) && { redacts: recall('event') }),
    ...(draw.happens(0.1) && { unsigned: { age: -5, 'm.relations': draw.value(hostileJson), prev_content: [] } }),
    ...(draw.happens(0.1) && { event_id: draw.value(hostileText) }),
  }
}

/** Replaces references and JSON placeholders, so that a signature covers the result. */
export function filled({ recall }: Pick<PeerDrawing, 'recall'>, value: unknown): unknown {
  const ids = fillIn(value, recall)
  const json = JSON.parse(writeJson(ids))
  return isWritable(json) ? json : ids
}

/** Values that nest too deeply can be parsed but not serialised. */
function isWritable(json: unknown): boolean {
  try {
    return JSON.stringify(json) !== undefined
  } catch {
    return false
  }
}

function signed({ room, signer }: PeerDrawing, pdu: unknown): unknown {
  return typeof pdu === 'object' && pdu !== null ? signAnything(pdu, room.version.id, signer) : pdu
}
