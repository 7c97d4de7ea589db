import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findPresence } from '../../storage/presence/presence.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { noteActivity } from './note-activity.ts'
import { getPresenceStatus, setPresenceStatus } from './presence-status.ts'
import { sweepPresence } from './start-presence.ts'

const MINUTE = 60_000
const PHONE = 'PHONE' as DeviceId
const LAPTOP = 'LAPTOP' as DeviceId

let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
  await sweepPresence(app)
})
afterAll(() => app.close())

let made = 0
const newUser = () => `@presence${++made}:hearth.test` as UserId
const stateOf = async (userId: UserId) => (await findPresence(app.database, userId))?.presence
const sync = async (userId: UserId, presence: 'online' | 'unavailable' | 'offline', deviceId = PHONE, on = app) => {
  const present = on.presence.beginSync({ userId, deviceId, presence })
  await present.settled
  return present
}
const streamRows = async (userId: UserId) =>
  (await app.database.sql.selectFrom('stream').selectAll().where('user_id', '=', userId).execute()).length

test('a syncing user is online, and goes offline half a minute after the last sync', async () => {
  const user = newUser()
  const first = await sync(user, 'online')
  expect(await stateOf(user)).toBe('online')
  app.clock.advance(10 * MINUTE)
  await app.presence.sweep()
  expect(await stateOf(user)).toBe('online')
  first.end()
  app.clock.advance(29_000)
  await app.presence.sweep()
  expect(await stateOf(user)).toBe('online')
  app.clock.advance(2000)
  await app.presence.sweep()
  expect(await stateOf(user)).toBe('offline')
})

test('the same sync again writes nothing', async () => {
  const user = newUser()
  for (let i = 0; i < 3; i++) (await sync(user, 'online')).end()
  expect(await streamRows(user)).toBe(1)
})

test('the most present device counts', async () => {
  const user = newUser()
  await sync(user, 'unavailable', LAPTOP)
  expect(await stateOf(user)).toBe('unavailable')
  await sync(user, 'online', PHONE)
  expect(await stateOf(user)).toBe('online')
  await setPresenceStatus(app, { userId: user, deviceId: PHONE, presence: 'offline', statusMsg: null })
  expect(await stateOf(user)).toBe('unavailable')
})

test('a sync that is not to mark the user online changes nothing', async () => {
  const user = newUser()
  ;(await sync(user, 'offline')).end()
  expect(await stateOf(user)).toBeUndefined()
  await setPresenceStatus(app, { userId: user, deviceId: PHONE, presence: 'online', statusMsg: 'tea' })
  ;(await sync(user, 'offline')).end()
  expect(await getPresenceStatus(app, user, user)).toMatchObject({ presence: 'online', status_msg: 'tea' })
  // Nor does it keep the user online.
  app.clock.advance(29_000)
  ;(await sync(user, 'offline')).end()
  app.clock.advance(2000)
  await app.presence.sweep()
  expect(await stateOf(user)).toBe('offline')
})

test('a user is unavailable after five idle minutes, until the next activity', async () => {
  const user = newUser()
  await sync(user, 'online')
  app.clock.advance(5 * MINUTE)
  await sweepPresence(app)
  expect(await stateOf(user)).toBe('unavailable')
  noteActivity(app, user)
  await app.presence.writer.drained()
  expect(await stateOf(user)).toBe('online')
})

test('the status message stays while the presence follows the syncs, and a change of it alone is announced', async () => {
  const user = newUser()
  const say = (statusMsg: string) =>
    setPresenceStatus(app, { userId: user, deviceId: PHONE, presence: 'online', statusMsg })
  await say('tea')
  await say('coffee')
  await sync(user, 'unavailable')
  expect(await getPresenceStatus(app, user, user)).toMatchObject({ presence: 'unavailable', status_msg: 'coffee' })
  expect(await streamRows(user)).toBe(3)
})

test('users who share no room learn nothing', async () => {
  await expect(getPresenceStatus(app, newUser(), newUser())).rejects.toThrow('You do not share a room')
})

test('presence set through another process counts at once, and the devices of a dead process expire', async () => {
  const user = newUser()
  const other = await createTestApp({ database: app.database, clock: app.clock })
  await sweepPresence(other)
  await sync(user, 'online', PHONE, other)
  const here = await sync(user, 'unavailable', PHONE, app)
  expect(await stateOf(user)).toBe('unavailable')
  await other.stream.refresh()
  await sync(user, 'online', PHONE, other)
  expect(await stateOf(user)).toBe('online')
  here.end()
  app.clock.advance(31_000)
  await app.presence.sweep()
  expect(await stateOf(user)).toBe('online')
  await setPresenceStatus(app, { userId: user, deviceId: PHONE, presence: 'offline', statusMsg: null })
  expect(await stateOf(user)).toBe('offline')
  await other.stream.refresh()
  await sync(user, 'online', PHONE, other)
  expect(await stateOf(user)).toBe('online')
  app.clock.advance(MINUTE)
  await sweepPresence(app)
  app.clock.advance(MINUTE)
  await sweepPresence(app)
  expect(await stateOf(user)).toBe('offline')
  await other.close()
})
