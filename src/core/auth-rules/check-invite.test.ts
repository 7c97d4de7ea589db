import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { member, state, type TestRoom, verdictOf } from '../../testing/auth-rules/test-room.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import type { Json, JsonObject } from '../pdu.ts'
import { encodeBase64 } from '../text/base64.ts'

const VERSIONS: [version: string, rule: string][] = [
  ['1', '5.3'],
  ['6', '4.3'],
  ['7', '4.3'],
  ['8', '4.4'],
  ['11', '4.4'],
  ['12', '5.4'],
]

describe.each(VERSIONS)('version %s, rule %s', (version, rule) => {
  test('members invite whoever is not there or banned', () => {
    const invite = (membership: string | undefined) =>
      verdictOf(
        version,
        { members: membership === undefined ? {} : { '@bob:b': membership } },
        member('@alice:a', 'invite', '@bob:b'),
      )
    expect([undefined, 'leave', 'invite', 'knock'].map(invite)).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(['join', 'ban'].map(invite)).toEqual([`${rule}.3`, `${rule}.3`])
  })

  test('it takes being in the room and the invite level', () => {
    const room: TestRoom = { members: { '@guest:a': 'join' }, power_levels: { invite: 1, users: { '@mod:a': 1 } } }
    expect(verdictOf(version, room, member('@stranger:a', 'invite', '@bob:b'))).toBe(`${rule}.2`)
    expect(verdictOf(version, room, member('@guest:a', 'invite', '@bob:b'))).toBe(`${rule}.5`)
    const promoted = { ...room, members: { '@mod:a': 'join' } }
    expect(verdictOf(version, promoted, member('@mod:a', 'invite', '@bob:b'))).toBe('ok')
  })
})

describe.each(VERSIONS)('third-party invites in version %s, rule %s', (version, rule) => {
  const identity = keyPair()
  const other = keyPair()
  const signed = signedBy(identity, { mxid: '@bob:b', token: 'token' })

  function verdict(thirdPartyInvite: Json, keys: JsonObject, room: TestRoom = {}, sender = '@alice:a'): string {
    const others = [state('m.room.third_party_invite', 'token', keys)]
    const event = member(sender, 'invite', '@bob:b', { third_party_invite: thirdPartyInvite })
    return verdictOf(version, { others, ...room }, event)
  }

  test('a signature by any of the keys is enough', () => {
    expect(verdict({ signed }, { public_key: identity.publicKey })).toBe('ok')
    const listed = [null, {}, { public_key: 1 }, { public_key: other.publicKey }, { public_key: identity.publicKey }]
    expect(verdict({ signed }, { public_keys: listed })).toBe('ok')
    expect(verdict({ signed }, { public_key: 'nonsense', public_keys: listed })).toBe('ok')
    const padded = `${identity.publicKey}=`
    expect(verdict({ signed }, { public_key: padded.replaceAll('+', '-').replaceAll('/', '_') })).toBe('ok')
  })

  test('the sender need not be in the room', () => {
    expect(verdict({ signed }, { public_key: identity.publicKey }, { members: { '@alice:a': 'leave' } })).toBe('ok')
  })

  test.each([
    [{}],
    [{ public_key: other.publicKey }],
    [{ public_keys: { 0: identity.publicKey } }],
    [{ public_key: 1 }],
  ])('keys %j did not sign it', (keys) => {
    expect(verdict({ signed }, keys as JsonObject)).toBe(`${rule}.1.8`)
  })

  test('signed content cannot be changed', () => {
    const altered = { ...signed, more: 1 }
    expect(verdict({ signed: altered }, { public_key: identity.publicKey })).toBe(`${rule}.1.8`)
    for (const signatures of [undefined, null, [], 'x', { is: null }, { is: { 'ed25519:0': 1 } }]) {
      const unsigned = { mxid: '@bob:b', token: 'token', ...(signatures === undefined ? {} : { signatures }) }
      expect(verdict({ signed: unsigned as Json }, { public_key: identity.publicKey })).toBe(`${rule}.1.8`)
    }
  })

  test('a banned user stays out', () => {
    const banned = { members: { '@bob:b': 'ban' } }
    expect(verdict({ signed }, { public_key: identity.publicKey }, banned)).toBe(`${rule}.1.1`)
  })

  test.each([
    [null, 2],
    ['x', 2],
    [{}, 2],
    [{ signed: null }, 2],
    [{ signed: [] }, 2],
    [{ signed: {} }, 3],
    [{ signed: { mxid: '@bob:b' } }, 3],
    [{ signed: { token: 'token' } }, 3],
    [{ signed: { mxid: 1, token: 'token' } }, 3],
    [{ signed: { mxid: '@eve:b', token: 'token' } }, 4],
    [{ signed: { mxid: '@bob:b', token: 'unheard' } }, 5],
  ] as [Json, number][])('%j falls to point %i', (thirdPartyInvite, point) => {
    expect(verdict(thirdPartyInvite, { public_key: identity.publicKey })).toBe(`${rule}.1.${point}`)
  })

  test('only who invited the third party invites the user', () => {
    expect(verdict({ signed }, { public_key: identity.publicKey }, {}, '@eve:a')).toBe(`${rule}.1.6`)
  })
})

test('hosts of signatures and keys do not keep the processor busy', () => {
  const signatures = Object.fromEntries(
    Array.from({ length: 600 }, (_, index) => [`ed25519:${index}`, encodeBase64(Buffer.alloc(64, index))]),
  )
  const keys = Array.from({ length: 600 }, (_, index) => ({
    public_key: encodeBase64(Buffer.alloc(32, `key ${index}`)),
  }))
  const signed = { mxid: '@bob:b', token: 'token', signatures: { is: signatures } }
  const room = { others: [state('m.room.third_party_invite', 'token', { public_keys: keys })] }
  const event = member('@alice:a', 'invite', '@bob:b', { third_party_invite: { signed } })
  const start = performance.now()
  expect(verdictOf('11', room, event)).toBe('4.4.1.8')
  expect(performance.now() - start).toBeLessThan(5000)
})

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: encodeBase64(Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')) }
}

function signedBy({ privateKey }: ReturnType<typeof keyPair>, object: JsonObject): JsonObject {
  const signature = encodeBase64(sign(null, Buffer.from(canonicalJson(object)), privateKey))
  return { ...object, signatures: { 'identity.example': { 'ed25519:0': signature } } }
}
