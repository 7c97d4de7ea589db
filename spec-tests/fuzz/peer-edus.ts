import { mutate } from './mutate.ts'
import { filled, type PeerDrawing } from './peer-events.ts'
import { referTo } from './references.ts'

/** Contents by type, with references. */
const EDUS: Record<string, (drawing: PeerDrawing) => unknown> = {
  'm.typing': ({ draw, members }) => ({
    room_id: referTo('room'),
    user_id: draw.pick(members),
    typing: draw.happens(0.7),
  }),
  'm.receipt': ({ draw, members }) => ({
    [referTo('room')]: {
      [draw.pick(['m.read', 'm.read', 'm.read.private', 'm.fully_read'])]: {
        [draw.pick(members)]: {
          data: { ts: 1, ...(draw.happens(0.4) && { thread_id: draw.pick(['main', referTo('event')]) }) },
          event_ids: [referTo('event')],
        },
      },
    },
  }),
  'm.presence': ({ draw, members }) => ({
    push: [
      {
        user_id: draw.pick(members),
        presence: draw.pick(['online', 'unavailable', 'offline']),
        last_active_ago: draw.below(1e6),
        currently_active: draw.happens(0.5),
        status_msg: 'Making cupcakes',
      },
    ],
  }),
  'm.device_list_update': ({ draw, members }) => {
    const stream_id = draw.below(1000)
    const user_id = draw.pick(members)
    const device_id = draw.pick(['DEVICE', 'OTHER'])
    return {
      user_id,
      device_id,
      stream_id,
      prev_id: draw.happens(0.5) ? [] : [stream_id - 1],
      device_display_name: 'Mobile',
      deleted: draw.happens(0.2),
      keys: {
        user_id,
        device_id,
        algorithms: ['m.olm.v1.curve25519-aes-sha2'],
        keys: { [`ed25519:${device_id}`]: 'x', [`curve25519:${device_id}`]: 'x' },
        signatures: {},
      },
    }
  },
  'm.signing_key_update': ({ draw, members }) => {
    const user_id = draw.pick(members)
    const key = (usage: string) => ({ user_id, usage: [usage], keys: { 'ed25519:abc': 'abc' } })
    return { user_id, master_key: key('master'), self_signing_key: key('self_signing') }
  },
  'm.direct_to_device': ({ draw, members }) => ({
    sender: draw.pick(members),
    type: draw.pick(['m.room_key_request', 'm.dummy', 'm.room.encrypted']),
    message_id: `m${draw.below(1e9)}`,
    messages: { [referTo('user')]: { [draw.pick(['*', referTo('device')])]: { any: 1 } } },
  }),
  'org.example.unknown': () => ({ any: 1 }),
}

/** Draws an EDU, valid or with an error. */
export function drawEdu(drawing: PeerDrawing): { edu_type: unknown; content: unknown } {
  const { draw } = drawing
  const edu_type = draw.pick(Object.keys(EDUS))
  const edu = { edu_type, content: EDUS[edu_type]!(drawing) }
  const drawn = draw.happens(0.4) ? mutate(draw, draw.happens(0.3) ? mutate(draw, edu) : edu) : edu
  return filled(drawing, drawn) as { edu_type: unknown; content: unknown }
}
