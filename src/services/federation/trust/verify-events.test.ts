import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultConfig } from '../../../config.ts'
import { buildEvent, type EventDraft } from '../../../core/events/build-event.ts'
import { signEvent } from '../../../core/events/sign-event.ts'
import type { EventId, RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { signingKeyFromSeed } from '../../../core/signing/signing-key.ts'
import { fixedClock } from '../../../infra/clock.ts'
import { createAskedLanes } from '../../../infra/federation/asked-lanes.ts'
import type { FederationClient } from '../../../infra/federation/federation-client.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { createKeyRing, type KeyRing } from '../../../infra/federation/key-ring.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { storeServerKeys } from '../../../storage/federation/server-keys.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import { verifyEvents } from './verify-events.ts'

const NOW = 1_700_000_000_000
const signerOf = (serverName: string, seed: number) => ({
  ...signingKeyFromSeed('a', Buffer.alloc(32, seed)),
  serverName: serverName as ServerName,
})
const [one, other, stranger] = [signerOf('one', 1), signerOf('other', 2), signerOf('stranger', 3)]
const version = (id: string) => ROOM_VERSIONS.get(id)!
const [v1, v3, v10, v12] = [version('1'), version('3'), version('10'), version('12')]

let database: Database
let keyRing: KeyRing
const asked: string[] = []

/** All servers are unreachable. */
const federation: FederationClient = {
  request: async ({ destination }) => {
    asked.push(destination)
    throw new FederationError('unreachable')
  },
  stream: () => Promise.reject(new FederationError('unreachable')),
  download: () => Promise.reject(new FederationError('unreachable')),
}

beforeAll(async () => {
  database = await createTestDatabase()
  const signingKeys = { current: signerOf('us', 9) }
  const from = { database, federation, serverName: 'us' as ServerName, signingKeys, notaries: [] }
  keyRing = createKeyRing({
    ...from,
    clock: fixedClock(NOW),
    lanes: createAskedLanes(defaultConfig().limits.remote_requests),
  })
  const rows = [one, other].map(({ serverName, keyId, publicKey }) => ({
    server_name: serverName,
    key_id: keyId,
    public_key: publicKey,
    valid_until_ts: NOW,
    retired: false,
    fetched_ts: 0,
    response: '{}',
  }))
  await database.write((tx) => storeServerKeys(tx, rows))
})
afterAll(() => database.close())

const draft = (more: Partial<EventDraft> = {}): EventDraft => ({
  room_id: '!room:one' as RoomId,
  type: 'm.room.message',
  sender: '@alice:one' as UserId,
  content: { body: 'hello' },
  origin_server_ts: NOW,
  depth: 5,
  prev_events: ['$a:one' as EventId],
  auth_events: ['$b:one' as EventId],
  reference_hashes: { ['$a:one' as EventId]: { sha256: 'a' }, ['$b:one' as EventId]: { sha256: 'b' } },
  ...more,
})
const wire = (pdu: object): unknown => JSON.parse(JSON.stringify(pdu))

test('good events come back in order, bad ones say why', async () => {
  const events = Array.from({ length: 250 }, (_, number) => buildEvent(v10, draft({ depth: number }), one))
  const pdus = events.map((event) => wire(event.pdu))
  pdus[7] = { nonsense: true }
  pdus[8] = wire({ ...events[8]!.pdu, depth: 999 })
  pdus[9] = wire(buildEvent(v10, draft({ sender: '@alice:stranger' as UserId }), stranger).pdu)
  pdus[10] = wire({ ...events[10]!.pdu, signatures: { other: events[10]!.pdu.signatures.one } })
  const verified = await verifyEvents({ keyRing }, v10, pdus)
  expect(verified.flatMap(({ ok }, place) => (ok ? [] : [place]))).toEqual([7, 8, 9, 10])
  for (const [place, event] of events.entries()) {
    if (place < 7 || place > 10) expect(verified[place]).toEqual({ ok: true, event })
  }
  expect(verified[9]).toMatchObject({ ok: false, reason: expect.stringContaining('stranger') })
  expect(asked).toEqual(['stranger'])
})

test('an event whose content was changed is redacted', async () => {
  const event = buildEvent(v10, draft(), one)
  const [verified] = await verifyEvents({ keyRing }, v10, [wire({ ...event.pdu, content: { body: 'changed' } })])
  expect(verified).toMatchObject({ ok: true, event: { event_id: event.event_id, pdu: { content: {} } } })
})

test('a key that had ended when the event was made counts before room version 5 only', async () => {
  const late = draft({ origin_server_ts: NOW + 1 })
  const [old] = await verifyEvents({ keyRing }, v3, [wire(buildEvent(v3, late, one).pdu)])
  const [current] = await verifyEvents({ keyRing }, v10, [wire(buildEvent(v10, late, one).pdu)])
  expect([old?.ok, current?.ok]).toEqual([true, false])
})

test('the server that authorised a restricted join has to sign too', async () => {
  const join = draft({
    type: 'm.room.member',
    state_key: '@alice:one',
    content: { membership: 'join', join_authorised_via_users_server: '@bob:other' },
  })
  const { pdu } = buildEvent(v10, join, one)
  const both = signEvent(v10, pdu, other)
  const verified = await verifyEvents({ keyRing }, v10, [wire(pdu), wire(both)])
  expect(verified.map(({ ok }) => ok)).toEqual([false, true])
})

test('events of room version 1 have their id from their server, which signs', async () => {
  const event = buildEvent(v1, draft(), one)
  const foreign = signEvent(v1, { ...event.pdu, event_id: '$x:other' } as Pdu, one)
  const verified = await verifyEvents({ keyRing }, v1, [wire(event.pdu), wire(foreign)])
  expect(verified).toMatchObject([{ ok: true, event: { event_id: event.event_id } }, { ok: false }])
})

test('an event that is too large is refused', async () => {
  const { pdu } = buildEvent(v12, draft({ room_id: `!${'a'.repeat(43)}` as RoomId }), one)
  const [verified] = await verifyEvents({ keyRing }, v12, [wire({ ...pdu, unsigned: { x: 'x'.repeat(70_000) } })])
  expect(verified).toMatchObject({ ok: false, reason: expect.stringContaining('bytes') })
})
