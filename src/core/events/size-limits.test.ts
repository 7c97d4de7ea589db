import { describe, expect, it } from 'vitest'
import { BadJsonError, TooLargeError } from '../errors.ts'
import type { Pdu } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { checkEventSize } from './size-limits.ts'

const version = ROOM_VERSIONS.get('11')!
const pdu = {
  type: 'm.room.message',
  room_id: '!r:b',
  sender: '@a:b',
  content: { body: '' },
  signatures: { b: { 'ed25519:1': 'abc' } },
} as unknown as Pdu

function withBody(body: string): Pdu {
  return { ...pdu, content: { body } }
}

describe('checkEventSize', () => {
  it('counts the bytes of the whole event', () => {
    const room = 65_536 - Buffer.byteLength(JSON.stringify(pdu))
    expect(() => checkEventSize(version, withBody('a'.repeat(room)))).not.toThrow()
    expect(() => checkEventSize(version, withBody('a'.repeat(room + 1)))).toThrow(TooLargeError)
    expect(() => checkEventSize(version, withBody('€'.repeat(Math.floor(room / 3))))).not.toThrow()
    expect(() => checkEventSize(version, withBody('€'.repeat(Math.floor(room / 3) + 1)))).toThrow(TooLargeError)
    expect(() => checkEventSize(version, withBody('\n'.repeat(room / 2 + 1)))).toThrow(TooLargeError)
  })

  it.each(['type', 'state_key', 'sender', 'room_id', 'event_id'])('limits %s to 255 bytes', (field) => {
    for (const fits of ['a'.repeat(255), '€'.repeat(85)]) {
      expect(() => checkEventSize(version, { ...pdu, [field]: fits })).not.toThrow()
      expect(() => checkEventSize(version, { ...pdu, [field]: `${fits}a` })).toThrow(TooLargeError)
    }
  })

  it('counts code points before version 11, as others do', () => {
    const before = ROOM_VERSIONS.get('10')!
    expect(() => checkEventSize(before, { ...pdu, state_key: '💥'.repeat(255) })).not.toThrow()
    expect(() => checkEventSize(before, { ...pdu, state_key: '💥'.repeat(256) })).toThrow(TooLargeError)
    expect(() => checkEventSize(ROOM_VERSIONS.get('11')!, { ...pdu, state_key: '💥'.repeat(70) })).toThrow(
      TooLargeError,
    )
  })

  it('measures floats only where they are allowed', () => {
    const floaty = { ...pdu, content: { n: 1.5 } }
    expect(() => checkEventSize(ROOM_VERSIONS.get('5')!, floaty)).not.toThrow()
    expect(() => checkEventSize(version, floaty)).toThrow(BadJsonError)
  })
})
