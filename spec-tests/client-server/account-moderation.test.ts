import { describe, expect, inject, test } from 'vitest'
import { ask, registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { bodiesOf, createRoom, historyOf, joinRoom, roomPath, sendState } from '../harness/rooms.ts'

const { url, sharedSecret } = inject('homeserver')
const password = 'correct horse battery'
const whoami = (token: string) => ask(url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })
const logIn = (user: string) =>
  ask(url, {
    method: 'POST',
    path: '/_matrix/client/v3/login',
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password },
  })

/** https://spec.matrix.org/v1.19/client-server-api/#server-administration */
describe('administrators', () => {
  const of = (what: string, userId: string) => `/_matrix/client/v1/admin/${what}/${encodeURIComponent(userId)}`

  test('lock accounts, which then can only log out', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    await admin.put(of('lock', user.userId), { locked: true })
    expect(await admin.get(of('lock', user.userId))).toEqual({ locked: true })
    expect((await whoami(user.accessToken)).body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    expect((await logIn(user.userId)).body.errcode).toBe('M_USER_LOCKED')
    await admin.put(of('lock', user.userId), { locked: false })
    expect((await whoami(user.accessToken)).status).toBe(200)
    await admin.put(of('lock', user.userId), { locked: true })
    await user.post('/_matrix/client/v3/logout')
  })

  test('suspend accounts, which then cannot change their profile', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    await admin.put(of('suspend', user.userId), { suspended: true })
    const path = `/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}/displayname`
    const answer = await user.ask('PUT', path, { displayname: 'x' })
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_USER_SUSPENDED'])
    await admin.put(of('suspend', user.userId), { suspended: false })
    await user.put(path, { displayname: 'x' })
  })

  test('others may not, and there are users they may not touch', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    expect((await user.ask('PUT', of('lock', user.userId), { locked: true })).body.errcode).toBe('M_FORBIDDEN')
    expect((await admin.ask('PUT', of('lock', admin.userId), { locked: true })).body.errcode).toBe('M_FORBIDDEN')
    expect((await admin.ask('GET', of('lock', '@x:elsewhere.example'))).body.errcode).toBe('M_INVALID_PARAM')
    const nobody = user.userId.replace(/^@[^:]*/, '@nobody-at-all')
    expect((await admin.ask('GET', of('suspend', nobody))).body.errcode).toBe('M_NOT_FOUND')
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#account-deactivation */
test('an account that ends leaves its rooms, and with erase its profile goes', async () => {
  const [user, friend] = await Promise.all([registerUser(url), registerUser(url)])
  const { room_id: roomId } = await friend.post('/_matrix/client/v3/createRoom', { invite: [user.userId] })
  const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
  await user.post(`${room}/join`)
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password }
  await user.post('/_matrix/client/v3/account/deactivate', { erase: true, auth })
  const { joined } = await friend.get(`${room}/joined_members`)
  expect(Object.keys(joined)).toEqual([friend.userId])
  const profile = await friend.ask('GET', `/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}`)
  expect(profile.body.errcode).toBe('M_NOT_FOUND')
})

test('what an erased account has sent is seen by those who could see it before, and redacted for who joins later', async () => {
  const people = await Promise.all(Array.from({ length: 5 }, () => registerUser(url)))
  const [user, witness, returning, formerly, newcomer] = people as [TestUser, TestUser, TestUser, TestUser, TestUser]
  const roomId = await createRoom(user, { name: 'Tea' })
  await joinRoom(roomId, witness, formerly)
  const eventId = await sendText(user, roomId, 'mine')
  await sendState(user, roomId, { type: 'm.room.topic', content: { topic: 'of the room' } })
  await formerly.post(roomPath(roomId, 'leave'))
  await joinRoom(roomId, returning)
  await returning.post(roomPath(roomId, 'leave'))
  await sendText(user, roomId, 'mine, later')
  await sendText(witness, roomId, 'not theirs')
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password }
  await user.post('/_matrix/client/v3/account/deactivate', { erase: true, auth })
  await joinRoom(roomId, returning, formerly, newcomer)

  const texts = async (reader: TestUser) => bodiesOf(await historyOf(reader, roomId))
  expect(await texts(witness)).toEqual(['mine', 'mine, later', 'not theirs'])
  // Each sees what they could have seen while they were in the room.
  expect(await texts(returning)).toEqual(['mine', 'not theirs'])
  expect(await texts(formerly)).toEqual(['mine', 'not theirs'])
  expect(await texts(newcomer)).toEqual(['not theirs'])

  const event = await newcomer.get(roomPath(roomId, `event/${encodeURIComponent(eventId)}`))
  expect(event).toMatchObject({ event_id: eventId, sender: user.userId, type: 'm.room.message', content: {} })
  const { rooms } = await newcomer.get('/_matrix/client/v3/sync')
  expect(bodiesOf(rooms.join[roomId].timeline.events)).toEqual(['not theirs'])
  expect(await newcomer.get(roomPath(roomId, 'state/m.room.topic/'))).toEqual({ topic: 'of the room' })
  const member = await newcomer.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(user.userId)}`))
  expect(member).toEqual({ membership: 'leave' })
})
