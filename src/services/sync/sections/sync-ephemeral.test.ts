import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { setTyping } from '../../rooms/sending/typing.ts'
import { answerBudget } from '../answers/answer-budget.ts'
import { compileSyncFilter } from '../answers/sync-filter.ts'
import { allEphemeral } from './sync-ephemeral.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

test('a room that is sent whole omits users whose typing the next rows report', async () => {
  const { roomId, member } = await createReadingRoom(app)
  await member(BOB, 'join')
  const viewer = {
    userId: CAROL,
    deviceId: null,
    ignored: new Set<string>(),
    filter: compileSyncFilter({}),
    stateAfter: undefined,
    budget: answerBudget(app, { rooms: 1 }),
  }
  const type = (userId: UserId) => setTyping(app, { roomId, userId, typing: true })
  const typing = async (to: number) => (await allEphemeral(app, viewer, { roomIds: [roomId], to })).get(roomId)
  const of = (...user_ids: UserId[]) => [{ type: 'm.typing', content: { user_ids } }]

  const before = await app.stream.refresh()
  await type(ALICE)
  const between = await app.stream.refresh()
  await type(BOB)
  expect(await typing(before)).toBeUndefined()
  expect(await typing(between)).toEqual(of(ALICE))
  expect(await typing(app.stream.position())).toEqual(of(ALICE, BOB))
})
