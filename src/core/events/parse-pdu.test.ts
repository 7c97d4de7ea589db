import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BadJsonError, MatrixError } from '../errors.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../room-versions.ts'
import { parsePdu } from './parse-pdu.ts'

const versions = [...ROOM_VERSIONS.values()]
const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

function validPdu(version: RoomVersion): Record<string, unknown> {
  const pairs = version.eventIdFormat === 'server-chosen'
  const reference = pairs ? ['$1:example.org', { sha256: 'abc' }] : `$${HASH}`
  return {
    ...(pairs && { event_id: '$2:example.org' }),
    room_id: version.roomIdIsCreateHash ? `!${HASH}` : '!room:example.org',
    type: 'm.room.message',
    sender: '@Alice:example.org',
    content: { body: 'hello' },
    origin_server_ts: 1,
    depth: 12,
    prev_events: [reference],
    auth_events: [reference, reference],
    hashes: { sha256: 'abc' },
    signatures: { 'example.org': { 'ed25519:1': 'abc' } },
  }
}

function expectRefusal(version: RoomVersion, changes: object): void {
  const pdu = { ...validPdu(version), ...changes }
  expect(() => parsePdu(version, pdu), JSON.stringify(changes)).toThrow(BadJsonError)
}

/** The wrong values of each field, for any room version. */
const WRONG: Record<string, unknown[]> = {
  type: [undefined, 1, null],
  room_id: [undefined, 1, '#room:example.org', 'room'],
  sender: [undefined, 'alice', '@alice', '@alice:', `@${'a'.repeat(255)}:example.org`],
  state_key: [1, null, {}],
  content: [undefined, null, [], 'x'],
  origin_server_ts: [undefined, '1', 1.5, 2 ** 53],
  depth: [undefined, '1', -1, 1.5],
  prev_events: [undefined, {}, [1], ['x'], [['$1:example.org']]],
  auth_events: [undefined, {}, [1], ['x'], [[]]],
  hashes: [undefined, {}, { sha256: 1 }, 'abc'],
  signatures: [undefined, [], { a: 'b' }, { a: { b: 1 } }],
  unsigned: [null, [], 1],
}

describe.each(versions)('parsePdu in room version $id', (version) => {
  it('returns the very value, unknown keys too', () => {
    const pdu = { ...validPdu(version), state_key: '', unsigned: { age: 1 }, origin: 'example.org', 'org.example': {} }
    const before = structuredClone(pdu)
    expect(parsePdu(version, pdu)).toBe(pdu)
    expect(pdu).toEqual(before)
  })

  it.each(Object.keys(WRONG))('refuses a wrong %s', (field) => {
    for (const value of WRONG[field] ?? []) {
      const { [field]: _right, ...rest } = validPdu(version)
      expect(() => parsePdu(version, value === undefined ? rest : { ...rest, [field]: value })).toThrow(BadJsonError)
    }
  })

  it('limits the number of references', () => {
    const [reference] = validPdu(version).prev_events as unknown[]
    const times = (count: number) => Array.from({ length: count }, () => reference)
    parsePdu(version, { ...validPdu(version), prev_events: times(20), auth_events: times(10) })
    expectRefusal(version, { prev_events: times(21) })
    expectRefusal(version, { auth_events: times(11) })
  })

  it('takes only references of its own form', () => {
    const other = version.eventIdFormat === 'server-chosen' ? `$${HASH}` : [`$${HASH}`, { sha256: 'abc' }]
    expectRefusal(version, { prev_events: [other] })
    expectRefusal(version, { auth_events: [other] })
  })

  it('takes only room ids of its own form', () => {
    expectRefusal(version, { room_id: version.roomIdIsCreateHash ? '!room:example.org' : `!${HASH}` })
  })

  it('wants canonical JSON where it is enforced', () => {
    const floaty = { ...validPdu(version), content: { users: { '@a:b': 50.5 } }, unsigned: { n: 2 ** 60 } }
    if (version.strictCanonicalJson) expect(() => parsePdu(version, floaty)).toThrow(BadJsonError)
    else expect(parsePdu(version, floaty)).toBe(floaty)
    expectRefusal(version, { content: { body: '\ud800' } })
  })

  it('throws nothing but MatrixError', () => {
    const fields = Object.keys(validPdu(version))
    const broken = fc
      .tuple(fc.constantFrom(...fields), fc.anything())
      .map(([key, value]) => ({ ...validPdu(version), [key]: value }))
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.jsonValue(), broken), (json) => {
        try {
          expect(parsePdu(version, json)).toBe(json)
        } catch (error) {
          if (!(error instanceof MatrixError)) throw error
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe('parsePdu', () => {
  const v1 = ROOM_VERSIONS.get('1')!
  const v12 = ROOM_VERSIONS.get('12')!

  it('wants an event id with a server name in room versions 1 and 2', () => {
    for (const event_id of [undefined, '$abc', 'abc', '$a:', 1]) expectRefusal(v1, { event_id })
  })

  it('wants no room id in the create event of room version 12, and in it alone', () => {
    const { room_id, ...rest } = validPdu(v12)
    const create = { ...rest, type: 'm.room.create', state_key: '' }
    expect(parsePdu(v12, create)).toBe(create)
    expectRefusal(v12, { ...create, room_id })
    expect(() => parsePdu(v12, { ...create, state_key: 'x' })).toThrow(BadJsonError)
    expect(() => parsePdu(ROOM_VERSIONS.get('11')!, create)).toThrow(BadJsonError)
  })
})
