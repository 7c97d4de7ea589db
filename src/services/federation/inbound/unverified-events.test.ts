import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildEvent } from '../../../core/events/build-event.ts'
import type { ServerName, UserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { storeServerKeys } from '../../../storage/federation/server-keys.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { GONE, GONE_SIGNER } from '../../../testing/remote-room.ts'
import { type AppWithRemote, createAppWithRemote, createSharedRoom, REMOTE } from '../../../testing/remote-server.ts'
import { receiveTransaction } from './receive-transaction.ts'

const GUS = `@gus:${GONE}` as UserId

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

type Room = Awaited<ReturnType<typeof createSharedRoom>>

/** Creates the join of a user of the unreachable server, with any signer. */
async function joinOfGus(room: Room, signer = GONE_SIGNER, content = {}): Promise<Event> {
  const { pdu } = await room.make({
    type: 'm.room.member',
    sender: GUS,
    state_key: GUS,
    content: { membership: 'join', ...content },
  })
  const { hashes: _, signatures: __, ...draft } = pdu
  return buildEvent(room.version, draft as never, { ...signer, serverName: GONE })
}

/** Passes events on as the remote server. */
async function pass(events: readonly Event[], origin = REMOTE): Promise<Record<string, { error?: string }>> {
  const transaction = { origin, txnId: app.random.token(8), pdus: events.map(({ pdu }) => pdu), edus: [] }
  const answer = await receiveTransaction(app as never, transaction)
  await app.inbound.inbox.look()
  await app.inbound.inbox.idle()
  return JSON.parse(answer).pdus
}

async function retryAfter(ms: number): Promise<void> {
  app.clock.advance(ms)
  await app.inbound.unverifiedEvents.retry()
  await app.inbound.inbox.idle()
}

const isThere = async ({ event_id: id }: Event) => (await loadEventsById(app.database, [id])).length > 0

test('an event whose server does not return its keys is accepted once it does, and delays no other event', async () => {
  const room = await createSharedRoom(app)
  const [join, message] = [await joinOfGus(room), await room.make()]
  const results = await pass([join, message])
  expect(results).toEqual({
    [join.event_id]: { error: 'The signing keys of gone are unavailable' },
    [message.event_id]: {},
  })
  expect([await isThere(join), await isThere(message)]).toEqual([false, true])
  await retryAfter(5000)
  expect(await isThere(join)).toBe(false)
  const { keyId, publicKey } = GONE_SIGNER
  const key = { server_name: GONE, key_id: keyId, public_key: publicKey, valid_until_ts: 9_000_000_000_000 }
  await app.database.write((tx) => storeServerKeys(tx, [{ ...key, retired: false, fetched_ts: 0, response: '{}' }]))
  // It was retried just now.
  await retryAfter(1000)
  expect(await isThere(join)).toBe(false)
  await retryAfter(10_000)
  expect(await isThere(join)).toBe(true)
  expect(app.inbound.unverifiedEvents.count()).toBe(0)
})

test('no more than 200 of one server are kept, and none for more than an hour', async () => {
  const room = await createSharedRoom(app)
  const unknown = { ...GONE_SIGNER, keyId: 'ed25519:unknown' as const }
  const joins = await Promise.all(Array.from({ length: 250 }, (_, number) => joinOfGus(room, unknown, { number })))
  await pass(joins.slice(0, 3), 'elsewhere' as ServerName)
  const before = app.inbound.unverifiedEvents.count()
  await pass(joins)
  expect([before, app.inbound.unverifiedEvents.count()]).toEqual([3, 203])
  await retryAfter(1_800_000)
  expect(app.inbound.unverifiedEvents.count()).toBe(203)
  await retryAfter(1_900_000)
  expect(app.inbound.unverifiedEvents.count()).toBe(0)
})

test('an event that turns out to be forged is deleted', async () => {
  const room = await createSharedRoom(app)
  const unknown = { ...GONE_SIGNER, keyId: 'ed25519:other' as const }
  const forged = await joinOfGus(room, unknown)
  await pass([forged])
  expect(app.inbound.unverifiedEvents.count()).toBe(1)
  const key = { server_name: GONE, key_id: unknown.keyId, public_key: app.signingKeys.current.publicKey }
  const validity = { valid_until_ts: 9_000_000_000_000, retired: false, fetched_ts: 0, response: '{}' }
  await app.database.write((tx) => storeServerKeys(tx, [{ ...key, ...validity }]))
  await retryAfter(5000)
  expect([app.inbound.unverifiedEvents.count(), await isThere(forged)]).toEqual([0, false])
})
