import { describe, expect, it } from 'vitest'
import { BadJsonError, TooLargeError } from '../errors.ts'
import type { EventId, RoomId, ServerName, UserId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../room-versions.ts'
import { signingKeyFromSeed } from '../signing/signing-key.ts'
import { buildEvent, type EventDraft, type Signer } from './build-event.ts'
import { hasMatchingContentHash } from './content-hash.ts'
import { parsePdu } from './parse-pdu.ts'
import { eventIdOf } from './reference-hash.ts'
import { checkEventSize } from './size-limits.ts'
import { toEvent } from './to-event.ts'
import { requiredSigners, verifyEventSignature } from './verify-event.ts'

const key = signingKeyFromSeed('a_1', Buffer.alloc(32, 7))
const signer: Signer = { ...key, serverName: 'example.org' as ServerName }
const versions = [...ROOM_VERSIONS.values()]
const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

function draftFor(version: RoomVersion, changes: Partial<EventDraft> = {}): EventDraft {
  const reference = (version.eventIdFormat === 'server-chosen' ? '$1:example.org' : `$${HASH}`) as EventId
  return {
    room_id: (version.roomIdIsCreateHash ? `!${HASH}` : '!room:example.org') as RoomId,
    type: 'm.room.message',
    sender: '@alice:example.org' as UserId,
    content: { msgtype: 'm.text', body: 'héllo "world" 😀', '10': 1, '9': 2 },
    origin_server_ts: 1_700_000_000_000,
    depth: 7,
    prev_events: [reference],
    auth_events: [reference],
    ...changes,
  }
}

function createDraft(version: RoomVersion): EventDraft {
  const { room_id: _room, ...draft } = draftFor(version, {
    type: 'm.room.create',
    state_key: '',
    prev_events: [],
    auth_events: [],
  })
  return draft
}

/** Parses the event as a server that receives it as JSON. */
function receive(version: RoomVersion, event: Event): Event {
  const pdu = parsePdu(version, JSON.parse(JSON.stringify(event.pdu)))
  checkEventSize(version, pdu)
  expect(hasMatchingContentHash(pdu)).toBe(true)
  expect(requiredSigners(version, pdu)).toEqual(['example.org'])
  expect(verifyEventSignature(version, pdu, 'example.org', 'ed25519:a_1', key.publicKey)).toBe(true)
  return toEvent(version, pdu)
}

describe.each(versions)('buildEvent in room version $id', (version) => {
  it('makes events that other servers take', () => {
    for (const stateKey of [{}, { state_key: '' }]) {
      const event = buildEvent(version, draftFor(version, stateKey), signer)
      expect(receive(version, event)).toEqual(event)
      expect(event).toMatchObject({ rejected: false, room_id: draftFor(version).room_id, pdu: stateKey })
      expect(event.event_id).toBe(eventIdOf(version, event.pdu))
    }
  })

  it('puts what a redaction redacts where it belongs', () => {
    const draft = draftFor(version, { type: 'm.room.redaction', content: {}, redacts: '$x' as EventId })
    const { pdu } = buildEvent(version, draft, signer)
    expect([pdu.redacts, pdu.content.redacts]).toEqual(version.redactsInContent ? [undefined, '$x'] : ['$x', undefined])
  })

  it('refuses content without canonical JSON, and floats where they are not allowed', () => {
    expect(() => buildEvent(version, draftFor(version, { content: { body: '\ud800' } }), signer)).toThrow(BadJsonError)
    const floaty = () => buildEvent(version, draftFor(version, { content: { n: 1.5 } }), signer)
    if (version.strictCanonicalJson) expect(floaty).toThrow(BadJsonError)
    else expect(receive(version, floaty()).pdu.content).toEqual({ n: 1.5 })
  })

  it('agrees with checkEventSize to the byte', () => {
    const { pdu } = buildEvent(version, draftFor(version, { content: { body: '' } }), signer)
    const withBody = (length: number) => draftFor(version, { content: { body: 'a'.repeat(length) } })
    const room = 65_536 - Buffer.byteLength(JSON.stringify(pdu))
    receive(version, buildEvent(version, withBody(room), signer))
    expect(() => buildEvent(version, withBody(room + 1), signer)).toThrow(TooLargeError)
    expect(() => buildEvent(version, draftFor(version, { type: 'a'.repeat(256) }), signer)).toThrow(TooLargeError)
  })

  it('wants a room id exactly where the room version has one', () => {
    if (version.roomIdIsCreateHash) {
      const create = buildEvent(version, createDraft(version), signer)
      expect(create.pdu).not.toHaveProperty('room_id')
      expect(create.room_id).toBe(`!${create.event_id.slice(1)}`)
      expect(receive(version, create)).toEqual(create)
      const named = { ...createDraft(version), room_id: create.room_id }
      expect(() => buildEvent(version, named, signer)).toThrow(BadJsonError)
    } else {
      expect(() => buildEvent(version, createDraft(version), signer)).toThrow(BadJsonError)
    }
  })
})

describe('buildEvent', () => {
  it('chooses distinct event ids and names hashes in room versions 1 and 2', () => {
    const version = ROOM_VERSIONS.get('2')!
    const parent = '$1:example.org' as EventId
    const hashes = { [parent]: { sha256: 'abc' } }
    const event = buildEvent(version, draftFor(version, { reference_hashes: hashes }), signer)
    expect(event.event_id).toMatch(/^\$[\w-]{43}:example\.org$/)
    expect(event.pdu).toMatchObject({ event_id: event.event_id, prev_events: [[parent, { sha256: 'abc' }]] })
    expect(event.prev_event_ids).toEqual([parent])
    expect(buildEvent(version, draftFor(version, { depth: 8 }), signer).event_id).not.toBe(event.event_id)
    expect(buildEvent(version, draftFor(version), signer).pdu.auth_events).toEqual([[parent, {}]])
  })
})

describe('toEvent', () => {
  const version = ROOM_VERSIONS.get('11')!
  const { pdu, event_id: eventId } = buildEvent(version, draftFor(version), signer)

  it('takes what is known', () => {
    expect(toEvent(version, pdu, { rejected: true })).toMatchObject({ rejected: true, event_id: eventId })
    expect(toEvent(version, pdu, { event_id: '$known' as EventId }).event_id).toBe('$known')
  })

  it('refuses an event without a room', () => {
    const { room_id: _room, ...homeless } = pdu
    expect(() => toEvent(version, homeless)).toThrow(BadJsonError)
  })
})
