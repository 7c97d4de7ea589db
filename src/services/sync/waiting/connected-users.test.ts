import { expect, test } from 'vitest'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import { createConnectedUsers } from './connected-users.ts'

const ALICE = '@alice:x' as UserId
const BOB = '@bob:x' as UserId
const ROOM = '!room:x' as RoomId

/** Creates connected users on a stream that the test writes. */
async function start(kept?: number) {
  const database = await createTestDatabase()
  let position = 0
  let tell: (rows: readonly StreamRow[]) => void = () => {}
  const stream = {
    position: () => position,
    refresh: async () => position,
    reach: async () => {},
    rowsBetween: async () => [],
    presencesBetween: async () => [],
    isLost: () => false,
    subscribe(listener: typeof tell) {
      tell = listener
      return () => {}
    },
    stop: async () => {},
  }
  const users = createConnectedUsers({ database, stream }, kept)
  const row = (kind: StreamRow['kind'], rest: Partial<StreamRow>) =>
    tell([{ kind, stream_position: ++position, room_id: null, user_id: null, ref: null, detail: null, ...rest }])
  return {
    users,
    close: () => database.close(),
    row,
    member: (user_id: UserId, detail: string) => row('event', { room_id: ROOM, user_id, ref: position + 1, detail }),
    async wakings(userId: UserId) {
      const counter = { count: 0 }
      const user = await users.get(userId)
      user.wakers.add(() => counter.count++)
      return counter
    },
  }
}

test('a row wakes the members of its room and nobody else, as they come and go', async () => {
  const { wakings, member, row, close } = await start()
  const [alice, bob] = [await wakings(ALICE), await wakings(BOB)]
  const message = () => row('event', { room_id: ROOM, ref: 99 })
  member(ALICE, 'join')
  message()
  expect([alice.count, bob.count]).toEqual([2, 0])
  member(BOB, 'invite')
  expect([alice.count, bob.count]).toEqual([3, 1])
  message()
  expect([alice.count, bob.count]).toEqual([4, 1])
  member(BOB, 'join')
  message()
  expect([alice.count, bob.count]).toEqual([6, 3])
  member(BOB, 'leave')
  message()
  expect([alice.count, bob.count]).toEqual([8, 4])
  await close()
})

test("account data of a room wakes its owner, not the room's other members", async () => {
  const { wakings, member, row, close } = await start()
  const [alice, bob] = [await wakings(ALICE), await wakings(BOB)]
  member(ALICE, 'join')
  member(BOB, 'join')
  const before = [alice.count, bob.count]
  row('account_data', { room_id: ROOM, user_id: BOB, detail: 'm.tag' })
  expect([alice.count, bob.count]).toEqual([before[0], before[1]! + 1])
  await close()
})

test('the ignored users are read again after a change', async () => {
  const { users, row, close } = await start()
  const user = await users.get(ALICE)
  const before = await users.ignoredBy(user)
  expect(await users.ignoredBy(user)).toBe(before)
  row('account_data', { user_id: ALICE, detail: 'm.ignored_user_list' })
  expect(user.ignored).toBeUndefined()
  const reading = users.ignoredBy(user)
  row('account_data', { user_id: ALICE, detail: 'm.ignored_user_list' })
  await reading
  expect(user.ignoredVersion).toBe(2)
  expect(user.ignored).toBeDefined()
  await close()
})

test('of many users, those who wait are kept', async () => {
  const { users, wakings, close } = await start(2)
  await wakings(ALICE)
  const [alice, bob] = [await users.get(ALICE), await users.get(BOB)]
  for (let i = 0; i < 5; i++) await users.get(`@user${i}:x` as UserId)
  await new Promise((resolve) => setImmediate(resolve))
  expect(await users.get(ALICE)).toBe(alice)
  expect(await users.get(BOB)).not.toBe(bob)
  await close()
})
