import fc from 'fast-check'
import nacl from 'tweetnacl'
import { expect, test } from 'vitest'
import { authEventKeys as referenceAuthEventKeys } from '../../../testing/matrix/auth-event-keys.ts'
import * as reference from '../../../testing/matrix/events.ts'
import { redact as referenceRedact } from '../../../testing/matrix/redact.ts'
import { ROOM_VERSIONS as REFERENCE_VERSIONS } from '../../../testing/matrix/room-versions.ts'
import * as referenceSigning from '../../../testing/matrix/signing.ts'
import { authEventKeys } from '../auth-rules/auth-event-keys.ts'
import type { EventId, ServerName, UserId } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import type { JsonObject } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { signableJson, signText } from '../signing/sign-json.ts'
import { signingKeyFromSeed } from '../signing/signing-key.ts'
import { formatXMatrix, requestText } from '../signing/x-matrix.ts'
import { buildEvent, type EventDraft } from './build-event.ts'
import { redact } from './redaction.ts'

/** `testing/matrix` is what scripted servers sign with in black-box tests. It shares no code with this folder. */
const SEED = Buffer.alloc(32, 5)
const serverName = 'server.test' as ServerName
const signer = { ...signingKeyFromSeed('k', SEED), serverName }
const referenceSigner = { ...referenceSigning.signingKeyFromSeed('k', SEED), serverName: serverName as never }

const TYPES = [
  ...['create', 'member', 'join_rules', 'power_levels', 'history_visibility', 'aliases', 'redaction', 'message'],
  ...['third_party_invite', 'encrypted'],
].map((name) => `m.room.${name}`)
const KEYS = [
  ...['creator', 'join_rule', 'allow', 'ban', 'events', 'invite', 'users', 'history_visibility', 'aliases', 'redacts'],
  ...['body', 'é', '10', '9'],
]
const scalar = fc.oneof(fc.string({ unit: 'binary' }), fc.maxSafeInteger(), fc.boolean(), fc.constant(null))
const signed = fc.record({ signed: fc.record({ token: fc.string({ unit: 'grapheme' }), mxid: scalar }), name: scalar })
const membership = fc.constantFrom('join', 'invite', 'knock', 'leave', 'ban')
const values = {
  ...Object.fromEntries(KEYS.map((key) => [key, fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }))])),
  membership: fc.oneof({ weight: 5, arbitrary: membership }, { weight: 1, arbitrary: scalar }),
  third_party_invite: fc.oneof(signed, scalar),
  join_authorised_via_users_server: fc.constantFrom('@a:server.test', '@c:server.test', 7),
}
const content = fc.record(values, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>
const eventIds = fc.array(fc.stringMatching(/^\$[a-z]{5}$/) as fc.Arbitrary<EventId>, { maxLength: 3 })
const drafts: fc.Arbitrary<EventDraft> = fc.record(
  {
    type: fc.oneof(fc.constantFrom(...TYPES), fc.constant('m.room.member')),
    sender: fc.constantFrom('@a:server.test', '@b:server.test') as fc.Arbitrary<UserId>,
    content,
    origin_server_ts: fc.nat(),
    depth: fc.nat(),
    prev_events: eventIds,
    auth_events: eventIds,
    state_key: fc.constantFrom('', '@a:server.test', 'x'),
    redacts: fc.constant('$redacted' as EventId),
    origin: fc.constant(serverName),
  },
  { requiredKeys: ['type', 'sender', 'content', 'origin_server_ts', 'depth', 'prev_events', 'auth_events'] },
)

test('both know the same room versions', () => {
  expect([...REFERENCE_VERSIONS.keys()]).toEqual([...ROOM_VERSIONS.keys()])
})

test.each([...ROOM_VERSIONS.values()])('events of version $id are as the reference builds them', (version) => {
  const ofReference = REFERENCE_VERSIONS.get(version.id)!
  fc.assert(
    fc.property(drafts, (made) => {
      const namesRoom = version.roomIdIsCreateHash && made.type === 'm.room.create' && made.state_key === ''
      const draft = { ...made, ...(!namesRoom && { room_id: '!room:server.test' as never }) }
      const { rejected: _, ...event } = buildEvent(version, draft, signer)
      expect(reference.buildEvent(ofReference, draft as never, referenceSigner)).toEqual(event)
      expect(referenceRedact(ofReference, event.pdu as never)).toEqual(redact(version, event.pdu))
      expect(referenceAuthEventKeys(ofReference, draft as never)).toEqual(authEventKeys(version, draft))
    }),
    { numRuns: 200 },
  )
})

test('signatures are those of tweetnacl, and requests are signed alike', () => {
  const { secretKey, publicKey } = nacl.sign.keyPair.fromSeed(SEED)
  expect(signer.publicKey).toBe(referenceSigner.publicKey)
  expect(Buffer.from(signer.publicKey, 'base64').equals(publicKey)).toBe(true)
  fc.assert(
    fc.property(content, (body) => {
      const request = { method: 'PUT', path: '/_matrix/federation/v1/send/1?x=%20', body: JSON.stringify(body) }
      const to = { origin: serverName, destination: 'there.test' as ServerName }
      const text = requestText({ ...to, method: 'PUT', uri: request.path, content: canonicalJson(body) })
      const signature = signText(text, signer.privateKey)
      const { keyId } = signer
      expect(referenceSigning.signedHeader(referenceSigner, 'there.test', request)).toBe(
        formatXMatrix({ ...to, keyId, signature }),
      )
      expect(referenceSigning.signableJson(body)).toBe(signableJson(body))
      const theirs = nacl.sign.detached(Buffer.from(text), secretKey)
      expect(nacl.sign.detached.verify(Buffer.from(text), Buffer.from(signature, 'base64'), publicKey)).toBe(true)
      expect(Buffer.from(signature, 'base64').equals(theirs)).toBe(true)
    }),
    { numRuns: 15 },
  )
})
