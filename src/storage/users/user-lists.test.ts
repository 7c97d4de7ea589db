import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { deleteProfile, storeProfile } from './profiles.ts'
import { countUsers, EVERYBODY, findLastSeen, listUsers } from './user-lists.ts'

const USERS = Array.from({ length: 1200 }, (_, number) => `@u${`${number}`.padStart(4, '0')}:hearth.test` as UserId)
const [FIRST, SECOND] = USERS as [UserId, UserId]

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: USERS })
})
afterAll(() => app.close())

const page = { order: 'name', isDescending: false, from: 0, limit: 3 }
const named = async (namePart: string) =>
  (await listUsers(app.database, { ...EVERYBODY, namePart }, page)).map(({ user_id: userId }) => userId)
const store = (userId: UserId, displayname: string) =>
  app.database.write((tx) => storeProfile(tx, { userId, profile: { displayname }, changedField: 'displayname' }))

test('pages beyond the middle are those that counting from the start would find', async () => {
  const ids = async (from: number, isDescending = false) =>
    (await listUsers(app.database, EVERYBODY, { ...page, from, isDescending })).map(({ user_id: userId }) => userId)
  expect(await ids(1100)).toEqual(USERS.slice(1100, 1103))
  expect(await ids(1198)).toEqual(USERS.slice(1198))
  expect(await ids(1100, true)).toEqual(USERS.toReversed().slice(1100, 1103))
  expect(await ids(5000)).toEqual([])
  expect(await countUsers(app.database, EVERYBODY)).toBe(USERS.length)
})

test('names and last uses follow profiles and devices', async () => {
  await store(FIRST, 'Zoë')
  expect(await named('zoë')).toEqual([FIRST])
  await store(FIRST, 'Anna')
  expect([await named('zoë'), await named('anna')]).toEqual([[], [FIRST]])
  await app.database.write((tx) => deleteProfile(tx, FIRST))
  expect(await named('anna')).toEqual([])
  const see = (device_id: string, last_seen_ts: number) =>
    app.database.write(async (tx) => {
      await tx.sql
        .insertInto('devices')
        .values({ user_id: SECOND, device_id, created_ts: 0, last_seen_ts } as never)
        .onConflict((conflict) => conflict.columns(['user_id', 'device_id']).doUpdateSet({ last_seen_ts }))
        .execute()
    })
  expect(await findLastSeen(app.database, SECOND)).toBeNull()
  await see('A', 20)
  await see('B', 10)
  expect(await findLastSeen(app.database, SECOND)).toBe(20)
  await see('B', 30)
  const [latest] = await listUsers(app.database, EVERYBODY, { ...page, order: 'last_seen_ts' })
  expect(latest).toMatchObject({ user_id: SECOND, last_seen_ts: 30 })
})
