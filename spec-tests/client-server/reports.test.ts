import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { eventPath, joinRoom, refusal, roomOfTwo, roomPath, sendState, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#reporting-content */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let eventId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
  eventId = await sendText(alice, roomId, 'spam')
})

const userPath = (userId: string) => `${v3}/users/${encodeURIComponent(userId)}/report`

describe('of an event', () => {
  test.each([{ reason: 'spam' }, { reason: 'spam', score: -100 }, { score: 0 }, { reason: '' }, {}])(
    'with %j is taken',
    async (body) => {
      expect(await bob.post(roomPath(roomId, eventPath('report', eventId)), body)).toEqual({})
    },
  )

  test.each([{ reason: 5 }, { score: 'high' }, { reason: 'x', score: 1.5 }])('with %j is not', async (body) => {
    expect((await bob.ask('POST', roomPath(roomId, eventPath('report', eventId)), body)).status).toBe(400)
  })

  test('is for those who see it', async () => {
    const stranger = await registerUser(url)
    const path = roomPath(roomId, eventPath('report', eventId))
    expect((await stranger.ask('POST', path, {})).status).toBe(404)
    expect(await refusal(bob, 'POST', roomPath(roomId, eventPath('report', '$unknown')))).toEqual([404, 'M_NOT_FOUND'])
    const visibility = { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }
    await sendState(alice, roomId, visibility)
    const unseen = await sendText(alice, roomId, 'secret')
    await joinRoom(roomId, stranger)
    expect((await stranger.ask('POST', roomPath(roomId, eventPath('report', unseen)), {})).status).toBe(404)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport */
describe('of a room', () => {
  test('by anybody, in it or not', async () => {
    const stranger = await registerUser(url)
    for (const user of [bob, stranger])
      expect(await user.post(roomPath(roomId, 'report'), { reason: 'spam' })).toEqual({})
  })

  test('with a reason that is text, of a room that is there', async () => {
    expect((await bob.ask('POST', roomPath(roomId, 'report'), { reason: 5 })).status).toBe(400)
    const { status } = await bob.ask('POST', roomPath('!unknown:example.org', 'report'), { reason: 'x' })
    // Servers may hide whether a room exists.
    expect([200, 404]).toContain(status)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport */
describe('of a user', () => {
  test('by anybody', async () => {
    expect(await bob.post(userPath(alice.userId), { reason: 'spam' })).toEqual({})
  })

  test('with a reason that is text', async () => {
    expect((await bob.ask('POST', userPath(alice.userId), { reason: ['x'] })).status).toBe(400)
    const server = alice.userId.split(':').slice(1).join(':')
    const { status } = await bob.ask('POST', userPath(`@nobody-at-all:${server}`), { reason: 'x' })
    expect([200, 404]).toContain(status)
  })
})
