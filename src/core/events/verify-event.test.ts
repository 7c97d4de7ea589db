import { describe, expect, it } from 'vitest'
import { BadJsonError } from '../errors.ts'
import type { ServerName } from '../ids.ts'
import type { Pdu } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { parseSigningKey, signingKeyFromSeed } from '../signing/signing-key.ts'
import { contentHash } from './content-hash.ts'
import { redact } from './redaction.ts'
import { signEvent } from './sign-event.ts'
import { requiredSigners, verifyEventSignature } from './verify-event.ts'

/** https://spec.matrix.org/v1.19/appendices/#event-signing */
const key = parseSigningKey('ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')
const signer = { ...key, serverName: 'domain' as ServerName }
const minimalEvent = {
  room_id: '!x:domain',
  sender: '@a:domain',
  origin: 'domain',
  origin_server_ts: 1000000,
  signatures: {},
  hashes: {},
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
  origin: 'domain',
  origin_server_ts: 1000000,
  type: 'm.room.message',
  room_id: '!r:domain',
  sender: '@u:domain',
  signatures: {},
  unsigned: { age_ts: 1000000 },
} as unknown as Pdu
const VECTORS: [Pdu, string, string][] = [
  [
    minimalEvent,
    '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos',
    'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
  ],
  [
    message,
    'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g',
    'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
  ],
]

const v1 = ROOM_VERSIONS.get('1')!
const v10 = ROOM_VERSIONS.get('10')!

function hashed(pdu: Pdu): Pdu {
  return { ...pdu, hashes: { sha256: contentHash(pdu) } }
}

describe('signEvent', () => {
  it.each(VECTORS)('signs as the specification does', (pdu, sha256, signature) => {
    const signed = { ...pdu, hashes: { sha256 }, signatures: { domain: { 'ed25519:1': signature } } }
    expect(signEvent(v1, hashed(pdu), signer)).toEqual(signed)
    expect(signEvent(v10, hashed(pdu), signer)).toEqual(signed)
    expect(verifyEventSignature(v1, signed, 'domain', 'ed25519:1', key.publicKey)).toBe(true)
  })

  it('adds to the signatures of other servers', () => {
    const other = { ...signingKeyFromSeed('2', Buffer.alloc(32, 9)), serverName: 'other' as ServerName }
    const signed = signEvent(v10, signEvent(v10, hashed(message), signer), other)
    expect(verifyEventSignature(v10, signed, 'domain', 'ed25519:1', key.publicKey)).toBe(true)
    expect(verifyEventSignature(v10, signed, 'other', 'ed25519:2', other.publicKey)).toBe(true)
  })
})

describe.each([...ROOM_VERSIONS.values()])('verifyEventSignature in room version $id', (version) => {
  const signed = signEvent(version, hashed({ ...message, depth: 1 }), signer)
  const isSigned = (pdu: Pdu) => verifyEventSignature(version, pdu, 'domain', 'ed25519:1', key.publicKey)

  it('holds for the full and the redacted event', () => {
    expect(isSigned(signed)).toBe(true)
    expect(isSigned({ ...signed, unsigned: { age: 5 } })).toBe(true)
    expect(isSigned(redact(version, signed))).toBe(true)
  })

  it('does not hold once the essential part has changed', () => {
    expect(isSigned({ ...signed, depth: 2 })).toBe(false)
    expect(isSigned({ ...signed, hashes: { sha256: 'x' } })).toBe(false)
    expect(isSigned({ ...signed, signatures: {} })).toBe(false)
  })
})

describe('requiredSigners', () => {
  const member = (content: object, changes: object = {}) =>
    ({ ...message, type: 'm.room.member', state_key: '@x:target', content, ...changes }) as Pdu
  const signersOf = (version: string, pdu: Pdu) => requiredSigners(ROOM_VERSIONS.get(version)!, pdu)
  const join = member({ membership: 'join', join_authorised_via_users_server: '@r:resident' })
  const thirdPartyInvite = member({ membership: 'invite', third_party_invite: {} })

  it('are the sender’s server, once', () => {
    for (const { id } of ROOM_VERSIONS.values()) expect(signersOf(id, message)).toEqual(['domain'])
  })

  it('include the server of the event id in room versions 1 and 2', () => {
    const foreign = { ...message, event_id: '$0:creator:8448' }
    expect([signersOf('1', foreign), signersOf('2', foreign)]).toEqual([
      ['domain', 'creator:8448'],
      ['domain', 'creator:8448'],
    ])
    expect(signersOf('3', foreign)).toEqual(['domain'])
  })

  it('include the server that lets a user join a restricted room, since room version 8', () => {
    expect(signersOf('7', join)).toEqual(['domain'])
    for (const version of ['8', '9', '10', '11', '12']) expect(signersOf(version, join)).toEqual(['domain', 'resident'])
    const leave = member({ membership: 'leave', join_authorised_via_users_server: '@r:resident' })
    expect(signersOf('11', leave)).toEqual(['domain'])
  })

  it('leave out the inviter’s server of a third-party invite', () => {
    expect(signersOf('11', thirdPartyInvite)).toEqual([])
    expect(signersOf('1', thirdPartyInvite)).toEqual(['domain'])
    expect(signersOf('11', member({ membership: 'join', third_party_invite: {} }))).toEqual(['domain'])
  })

  it('are distinguished from malformed ids', () => {
    expect(() => signersOf('11', { ...message, sender: '@u' as Pdu['sender'] })).toThrow(BadJsonError)
    const { event_id: _id, ...nameless } = message
    expect(() => signersOf('1', nameless)).toThrow(BadJsonError)
    for (const user of [null, 1, 'x', '@x:']) {
      const pdu = member({ membership: 'join', join_authorised_via_users_server: user })
      expect(() => signersOf('11', pdu)).toThrow(BadJsonError)
    }
  })
})
