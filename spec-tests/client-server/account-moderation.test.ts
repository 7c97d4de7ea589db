import { describe, expect, inject, test } from 'vitest'
import { ask, registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { bodiesOf, createRoom, historyOf, joinRoom, refusal, roomPath, sendState } from '../harness/rooms.ts'

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

  test('suspend accounts, which can do what the specification leaves them', async () => {
    const [admin, user, friend] = await Promise.all([
      registerAdmin(url, sharedSecret),
      registerUser(url),
      registerUser(url),
    ])
    const [roomId, open, invited] = [await createRoom(friend), await createRoom(friend), await createRoom(friend)]
    await joinRoom(roomId, user)
    await friend.post(roomPath(invited, 'invite'), { user_id: user.userId })
    const [own, foreign] = [await sendText(user, roomId, 'mine'), await sendText(friend, roomId, 'not mine')]
    const levels = await friend.get(roomPath(roomId, 'state/m.room.power_levels/'))
    const content = { ...levels, users: { ...levels.users, [user.userId]: 50 } }
    await sendState(friend, roomId, { type: 'm.room.power_levels', content })
    await admin.put(of('suspend', user.userId), { suspended: true })

    const refused: [string, string, object][] = [
      ['POST', roomPath(open, 'join'), {}],
      ['POST', roomPath(invited, 'join'), {}],
      ['POST', `/_matrix/client/v3/knock/${encodeURIComponent(open)}`, {}],
      ['POST', roomPath(roomId, 'invite'), { user_id: admin.userId }],
      ['PUT', roomPath(roomId, 'send/m.room.message/1'), { msgtype: 'm.text', body: 'x' }],
      ['PUT', roomPath(roomId, 'state/m.room.topic/'), { topic: 'x' }],
      ['PUT', roomPath(roomId, `redact/${encodeURIComponent(foreign)}/1`), {}],
      ['POST', '/_matrix/client/v3/createRoom', {}],
    ]
    for (const [method, path, body] of refused)
      expect([path, ...(await refusal(user, method, path, body))]).toEqual([path, 403, 'M_USER_SUSPENDED'])

    expect((await logIn(user.userId)).status).toBe(200)
    expect(bodiesOf(await historyOf(user, roomId))).toEqual(['mine', 'not mine'])
    await user.put(roomPath(roomId, `redact/${encodeURIComponent(own)}/2`))
    await user.post(roomPath(invited, 'leave'))
    await user.post(roomPath(roomId, 'leave'))
    await user.put('/_matrix/client/v3/sendToDevice/m.key.verification.request/1', { messages: {} })
    await user.post('/_matrix/client/v3/logout')
  })

  test('other users cannot, and administrators cannot be moderated', async () => {
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

test('events of an erased account stay visible to users who could see them, and are redacted for later members', async () => {
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
  // Each user sees the events that they could see while they were in the room.
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
