import { describe, expect, it } from 'vitest'
import type { Event, Pdu } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { clientEvent, redactedEventId } from './client-event.ts'

const v10 = ROOM_VERSIONS.get('10')!
const v11 = ROOM_VERSIONS.get('11')!

function event(fields: object): Event {
  const pdu = {
    type: 'm.room.message',
    content: { body: 'hi' },
    sender: '@a:b',
    origin_server_ts: 5,
    depth: 1,
    hashes: { sha256: 'x' },
    signatures: {},
    prev_events: [],
    auth_events: [],
    unsigned: { age: 4 },
    ...fields,
  } as unknown as Pdu
  return {
    event_id: '$e',
    room_id: '!r',
    pdu,
    auth_event_ids: [],
    prev_event_ids: [],
    rejected: false,
  } as unknown as Event
}

const common = { sender: '@a:b', origin_server_ts: 5, event_id: '$e', room_id: '!r' }

describe('clientEvent', () => {
  it('shows clients only what is theirs to see', () => {
    expect(clientEvent(event({}), v11)).toEqual({ ...common, type: 'm.room.message', content: { body: 'hi' } })
  })

  it('shows the state key, even an empty one', () => {
    expect(clientEvent(event({ state_key: '' }), v11)).toHaveProperty('state_key', '')
  })

  it.each([
    ['before room version 11', v10, { redacts: '$x', content: { reason: 'spam' } }],
    ['since room version 11', v11, { content: { redacts: '$x', reason: 'spam' } }],
  ])('says in both places what a redaction %s redacts', (_when, version, fields) => {
    const redaction = event({ type: 'm.room.redaction', ...fields })
    const before = structuredClone(redaction)
    expect(clientEvent(redaction, version)).toEqual({
      ...common,
      type: 'm.room.redaction',
      content: { redacts: '$x', reason: 'spam' },
      redacts: '$x',
    })
    expect(redaction).toEqual(before)
  })

  it('believes only the place that the room version has', () => {
    const both = event({ type: 'm.room.redaction', redacts: '$old', content: { redacts: '$new' } })
    expect([clientEvent(both, v10).redacts, clientEvent(both, v11).redacts]).toEqual(['$old', '$new'])
    expect(clientEvent(both, v10).content.redacts).toBe('$old')
  })

  it('adds nothing to a redaction that names no event, nor to other events', () => {
    expect(clientEvent(event({ type: 'm.room.redaction', content: {} }), v11)).not.toHaveProperty('redacts')
    expect(redactedEventId(v11, event({ type: 'm.room.redaction', content: { redacts: 1 } }).pdu)).toBeUndefined()
    expect(redactedEventId(v11, event({ content: { redacts: '$x' } }).pdu)).toBeUndefined()
    expect(clientEvent(event({ content: { redacts: '$x' } }), v11)).not.toHaveProperty('redacts')
  })
})
