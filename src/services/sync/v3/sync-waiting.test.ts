import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { UserId } from '../../../core/ids.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import { storeProfile } from '../../../storage/users/profiles.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { bodies, clientOf, named, type SyncBody } from '../../../testing/sync-client.ts'
import { setTyping } from '../../rooms/sending/typing.ts'
import { putAccountData } from '../../users/settings/account-data.ts'
import { rowsOf } from './incremental-sync.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

/** Longer than any test advances the clock. */
const LONG = 600_000
const waiters = async () => (await app.metrics.syncWaiters.get()).values[0]?.value ?? 0

/** Starts a sync without changes, and resolves when it waits. */
async function wait(client: ReturnType<typeof clientOf>, options: { timeout?: number; signal?: AbortSignal } = {}) {
  const before = await waiters()
  let ended = false
  const answer = client.sync({ timeout: LONG, ...options }).finally(() => {
    ended = true
  })
  await pollUntil('the sync waits', async () => (await waiters()) === before + 1 || ended)
  return { answer, hasEnded: () => ended }
}

async function caughtUp(userId: UserId, filter?: Parameters<typeof clientOf>[2]) {
  const client = clientOf(app, userId, filter)
  await client.sync()
  return client
}

/** Resolves when all rows so far have been processed. */
async function settle(): Promise<void> {
  await app.database.write(async (tx) => appendToStream(tx, { kind: 'profile' }))
  await app.stream.refresh()
}

test('an event ends the waiting of those in its room, and of nobody else', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  const [alice, bob] = [await wait(await caughtUp(ALICE)), await wait(await caughtUp(BOB))]
  const carol = await wait(await caughtUp(CAROL))
  await room.message(ALICE, 'wake up')
  for (const { answer } of [alice, bob]) {
    expect(bodies((await answer).rooms.join[room.roomId].timeline.events)).toEqual(['wake up'])
  }
  await settle()
  expect(carol.hasEnded()).toBe(false)
  expect(await waiters()).toBe(1)
  await createReadingRoom(app).then((other) => other.member(CAROL, 'join'))
  await carol.answer
  expect(await waiters()).toBe(0)
})

test('so do typing, account data, invites, joins elsewhere and kicks', async () => {
  const room = await createReadingRoom(app)
  const client = await caughtUp(BOB)
  const after = async (cause: () => Promise<unknown>): Promise<SyncBody> => {
    const { answer } = await wait(client)
    await cause()
    return answer
  }
  const invited = await after(() => room.member(BOB, 'invite', ALICE))
  expect(invited.rooms.invite).toHaveProperty([room.roomId])
  const joined = await after(() => room.member(BOB, 'join'))
  expect(joined.rooms.join).toHaveProperty([room.roomId])
  const typing = await after(() => setTyping(app, { roomId: room.roomId, userId: ALICE, typing: true }))
  expect(named(typing.rooms.join[room.roomId].ephemeral.events)).toEqual(['m.typing'])
  const data = await after(() => putAccountData(app, BOB, { roomId: '', type: 'org.x', content: { a: 1 } }))
  expect(named(data.account_data.events)).toEqual(['org.x'])
  const kicked = await after(() => room.member(BOB, 'leave', ALICE))
  expect(kicked.rooms.leave).toHaveProperty([room.roomId])
  const message = await wait(client)
  await room.message(ALICE, 'not for Bob')
  await settle()
  expect(message.hasEnded()).toBe(false)
  await room.member(BOB, 'join')
  await message.answer
})

test('changes of profiles in rooms are only news for clients that follow profiles', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  const user = await app.sync.connectedUsers.get(BOB)
  const from = await app.stream.refresh()
  const change = { userId: ALICE, profile: { 'm.tz': 'UTC' }, changedField: 'm.tz' }
  await app.database.write((tx) => storeProfile(tx, change))
  const span = { user, from, to: await app.stream.refresh(), joined: user.joined, present: user.rooms }
  expect(await rowsOf(app, span)).toEqual([])
  expect(await rowsOf(app, { ...span, followsProfiles: true })).toContainEqual(
    expect.objectContaining({ kind: 'profile', room_id: room.roomId, user_id: ALICE, detail: 'm.tz' }),
  )
})

test('events that the filter drops wake no sync and make no gap', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  const filter = {
    room: { timeline: { types: ['org.wanted'] }, state: { types: [] }, ephemeral: { not_types: ['m.typing'] } },
  }
  const { answer, hasEnded } = await wait(await caughtUp(BOB, { filter }))
  for (let i = 0; i < 60; i++) await room.message(ALICE, `${i}`)
  await room.state('org.unwanted', {})
  await setTyping(app, { roomId: room.roomId, userId: ALICE, typing: true })
  await settle()
  expect(hasEnded()).toBe(false)
  await room.state('org.wanted', {})
  const { timeline } = (await answer).rooms.join[room.roomId]
  expect(named(timeline.events)).toEqual(['org.wanted'])
  expect(timeline.limited).toBe(false)
})

test('when the time is over, the answer is a new token and nothing else', async () => {
  const client = await caughtUp(ALICE)
  const { answer } = await wait(client, { timeout: 20 })
  app.clock.advance(20)
  expect(Object.keys(await answer).sort()).toEqual([
    'device_one_time_keys_count',
    'device_unused_fallback_key_types',
    'next_batch',
  ])
  expect(await waiters()).toBe(0)
})

test('a client that goes away, or a server that stops, ends the waiting', async () => {
  const gone = new AbortController()
  const { answer } = await wait(await caughtUp(ALICE), { signal: gone.signal })
  gone.abort()
  expect(await answer).toHaveProperty('next_batch')
  const late = await (await caughtUp(ALICE)).sync({ timeout: LONG, signal: gone.signal })
  expect(late).toHaveProperty('next_batch')
  expect(await waiters()).toBe(0)
})

test('several devices of a user wait at once, and all are answered', async () => {
  const room = await createReadingRoom(app)
  const waiting = []
  for (let i = 0; i < 5; i++) waiting.push(await wait(await caughtUp(ALICE)))
  await room.message(ALICE, 'to all')
  for (const { answer } of waiting) {
    expect(bodies((await answer).rooms.join[room.roomId].timeline.events)).toEqual(['to all'])
  }
})
