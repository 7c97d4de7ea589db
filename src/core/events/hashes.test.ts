import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BadJsonError } from '../errors.ts'
import type { Pdu } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { contentHash, hasMatchingContentHash } from './content-hash.ts'
import { eventIdOf, referenceHash } from './reference-hash.ts'

/** https://spec.matrix.org/v1.19/appendices/#event-signing */
const minimalEvent = {
  room_id: '!x:domain',
  sender: '@a:domain',
  origin: 'domain',
  origin_server_ts: 1000000,
  signatures: {},
  hashes: { sha256: '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos' },
  type: 'X',
  content: {},
  prev_events: [],
  auth_events: [],
  depth: 3,
  unsigned: { age_ts: 1000000 },
} as unknown as Pdu

const message = {
  content: { body: 'Here is the message content' },
  event_id: '$0:domain',
  hashes: { sha256: 'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g' },
  origin: 'domain',
  origin_server_ts: 1000000,
  type: 'm.room.message',
  room_id: '!r:domain',
  sender: '@u:domain',
  signatures: {},
  unsigned: { age_ts: 1000000 },
} as unknown as Pdu

describe('contentHash', () => {
  it('is that of the specification', () => {
    expect(contentHash(minimalEvent)).toBe(minimalEvent.hashes.sha256)
    expect(contentHash(message)).toBe(message.hashes.sha256)
  })

  it('covers everything but hashes, signatures and unsigned', () => {
    const changes = { hashes: { sha256: 'x' }, signatures: { a: { b: 'c' } }, unsigned: { age: 1 } }
    expect(contentHash({ ...message, ...changes })).toBe(message.hashes.sha256)
    expect(contentHash({ ...message, origin_server_ts: 1 })).not.toBe(message.hashes.sha256)
    expect(contentHash({ ...message, ...{ unknown: 1 } })).not.toBe(message.hashes.sha256)
  })
})

describe('hasMatchingContentHash', () => {
  const withHash = (sha256: string) => ({ ...message, hashes: { sha256 } })

  it('compares the bytes', () => {
    expect(hasMatchingContentHash(message)).toBe(true)
    expect(hasMatchingContentHash(withHash(`${message.hashes.sha256}=`))).toBe(true)
    expect(hasMatchingContentHash(withHash('onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n_g'))).toBe(true)
  })

  it('is false for other content and other hashes', () => {
    expect(hasMatchingContentHash({ ...message, content: {} })).toBe(false)
    for (const sha256 of ['', 'onLK', 'not base64!', minimalEvent.hashes.sha256]) {
      expect(hasMatchingContentHash(withHash(sha256))).toBe(false)
    }
  })
})

describe('referenceHash and eventIdOf', () => {
  const event = { ...message, ...{ redacts: '$x' }, auth_events: [], prev_events: [], depth: 5 } as Pdu
  const start =
    '{"auth_events":[],"content":{},"depth":5,"event_id":"$0:domain","hashes":{"sha256":"onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g"},'
  const end =
    '"origin_server_ts":1000000,"prev_events":[],"room_id":"!r:domain","sender":"@u:domain","type":"m.room.message"}'
  const sha256 = (text: string) => createHash('sha256').update(text).digest()

  it.each([...ROOM_VERSIONS.values()])('hash the redacted event in room version $id', (version) => {
    const essential = version.updatedRedactions ? start + end : `${start}"origin":"domain",${end}`
    expect(referenceHash(version, event)).toEqual(sha256(essential))
  })

  it('write the hash as the room version has it', () => {
    const essential = sha256(`${start}"origin":"domain",${end}`)
    const id = (version: string) => eventIdOf(ROOM_VERSIONS.get(version)!, event)
    expect(id('1')).toBe('$0:domain')
    expect(id('2')).toBe('$0:domain')
    expect(id('3')).toBe(`$${essential.toString('base64').replace('=', '')}`)
    expect(id('4')).toBe(`$${essential.toString('base64url')}`)
    expect(id('11')).toBe(`$${sha256(start + end).toString('base64url')}`)
  })

  it('tell apart in the alphabet alone', () => {
    // Selects an event whose hash contains characters that differ between the alphabets; otherwise the test above
    // proves little.
    const nonces = Array.from({ length: 50 }, (_, depth) => ({ ...event, depth }))
    const ids = nonces.map((pdu) => [eventIdOf(ROOM_VERSIONS.get('3')!, pdu), eventIdOf(ROOM_VERSIONS.get('4')!, pdu)])
    expect(ids.some(([v3, v4]) => v3 !== v4)).toBe(true)
    expect(ids.every(([v3, v4]) => v3?.replaceAll('+', '-').replaceAll('/', '_') === v4)).toBe(true)
  })

  it('refuse what has no id or no canonical JSON', () => {
    const { event_id: _id, ...without } = event
    expect(() => eventIdOf(ROOM_VERSIONS.get('1')!, without)).toThrow(BadJsonError)
    expect(() => eventIdOf(ROOM_VERSIONS.get('1')!, { ...event, event_id: 'x' })).toThrow(BadJsonError)
    expect(() => eventIdOf(ROOM_VERSIONS.get('6')!, { ...event, depth: 0.5 })).toThrow(BadJsonError)
    expect(() => eventIdOf(ROOM_VERSIONS.get('5')!, { ...event, depth: 0.5 })).not.toThrow()
  })
})
