import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { createRoom, eventPath, joinRoom, refusal, roomPath, sendState, v3 } from '../harness/rooms.ts'

/** Guests on a server that allows them. https://spec.matrix.org/v1.19/client-server-api/#guest-access */
let hearth: TestHearth
let alice: TestUser
let guest: TestUser
let roomId: string

beforeAll(async () => {
  hearth = await startHearth({ config: { registration: { enabled: true, guests: true } } })
})
afterAll(() => hearth.dispose())

const setGuestAccess = (guest_access: string) =>
  sendState(alice, roomId, { type: 'm.room.guest_access', content: { guest_access } })

beforeEach(async () => {
  alice = await registerUser(hearth.url)
  const { status, body } = await ask(hearth.url, { method: 'POST', path: `${v3}/register?kind=guest`, body: {} })
  expect(status).toBe(200)
  guest = asUser(hearth.url, body)
  roomId = await createRoom(alice)
})

test('a guest is one', async () => {
  expect(await guest.get(`${v3}/account/whoami`)).toMatchObject({ user_id: guest.userId, is_guest: true })
  expect((await alice.get(`${v3}/account/whoami`)).is_guest ?? false).toBe(false)
})

test('joins, reads and speaks where guests may, and nowhere else', async () => {
  await setGuestAccess('forbidden')
  expect(await refusal(guest, 'POST', roomPath(roomId, 'join'))).toEqual([403, 'M_GUEST_ACCESS_FORBIDDEN'])
  await setGuestAccess('can_join')
  await joinRoom(roomId, guest)
  const eventId = await sendText(guest, roomId, 'hello')
  for (const path of [
    'state',
    'members',
    'messages?dir=b',
    'state/m.room.guest_access/',
    eventPath('context', eventId),
  ])
    await guest.get(roomPath(roomId, path))
  const levels = await alice.get(roomPath(roomId, 'state/m.room.power_levels/'))
  const content = { ...levels, events: { ...levels.events, 'm.room.topic': 0 } }
  await sendState(alice, roomId, { type: 'm.room.power_levels', content })
  await sendState(guest, roomId, { type: 'm.room.topic', content: { topic: 'a guest’s' } })
  expect((await guest.get(`${v3}/sync`)).rooms.join[roomId]).toBeDefined()
  await guest.post(roomPath(roomId, 'leave'))
})

test('has to go when guests may no longer be there', async () => {
  await setGuestAccess('can_join')
  await joinRoom(roomId, guest)
  await setGuestAccess('forbidden')
  await pollUntil('the guest is gone', async () => {
    const { membership } = await alice.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(guest.userId)}`))
    return membership === 'leave'
  })
  expect((await alice.get(roomPath(roomId, 'joined_members'))).joined[alice.userId]).toBeDefined()
})

describe('has to go, whoever revokes the access, and however', () => {
  let federation: TestFederation
  let [home, elsewhere]: TestHearth[] = []
  beforeAll(async () => {
    federation = await startFederation()
    const registration = { enabled: true, guests: true }
    ;[home, elsewhere] = await Promise.all([federation.hearth({ config: { registration } }), federation.hearth()])
  })
  afterAll(() => federation?.dispose())

  test.each<[string, (moderator: TestUser, room: string, granted: string) => Promise<unknown>]>([
    [
      'a moderator of another server',
      (moderator, room) =>
        sendState(moderator, room, { type: 'm.room.guest_access', content: { guest_access: 'forbidden' } }),
    ],
    [
      'a redaction by a moderator of another server',
      (moderator, room, granted) => moderator.put(roomPath(room, `redact/${encodeURIComponent(granted)}/1`), {}),
    ],
    [
      'content that means nothing',
      (moderator, room) => sendState(moderator, room, { type: 'm.room.guest_access', content: {} }),
    ],
  ])('%s', async (_, revoke) => {
    const [owner, moderator] = await Promise.all([registerUser(home!.url), registerUser(elsewhere!.url)])
    const { body } = await ask(home!.url, { method: 'POST', path: `${v3}/register?kind=guest`, body: {} })
    const visitor = asUser(home!.url, body)
    const room = await createRoom(owner, { room_version: '11' })
    const granted = await sendState(owner, room, { type: 'm.room.guest_access', content: { guest_access: 'can_join' } })
    await moderator.post(`${v3}/join/${encodeURIComponent(room)}?via=${home!.serverName}`)
    await joinRoom(room, visitor)
    const levels = await owner.get(roomPath(room, 'state/m.room.power_levels/'))
    const content = { ...levels, users: { ...levels.users, [moderator.userId]: 100 } }
    await sendState(owner, room, { type: 'm.room.power_levels', content })
    const membershipOf = async (reader: TestUser, user: TestUser) =>
      (await reader.get(roomPath(room, `state/m.room.member/${encodeURIComponent(user.userId)}`))).membership
    await pollUntil('the moderator may revoke it', async () => {
      const known = await moderator.get(roomPath(room, 'state/m.room.power_levels/'))
      return known.users[moderator.userId] === 100 && (await membershipOf(moderator, visitor)) === 'join'
    })
    await revoke(moderator, room, granted)
    for (const reader of [owner, moderator])
      await pollUntil('the guest is gone', async () => (await membershipOf(reader, visitor)) === 'leave')
    expect(await membershipOf(owner, moderator)).toBe('join')
  })
})

test('keeps a name, devices and keys', async () => {
  const profile = `${v3}/profile/${encodeURIComponent(guest.userId)}`
  await guest.put(`${profile}/displayname`, { displayname: 'Visitor' })
  expect((await guest.ask('DELETE', `${profile}/displayname`)).status).toBe(200)
  expect((await guest.ask('PUT', `${profile}/avatar_url`, { avatar_url: 'mxc://example.org/x' })).status).toBe(403)
  await guest.get(`${v3}/devices`)
  await guest.put(`${v3}/devices/${guest.deviceId}`, { display_name: 'Browser' })
  await guest.post(`${v3}/keys/query`, { device_keys: { [guest.userId]: [] } })
  await guest.post(`${v3}/keys/claim`, { one_time_keys: {} })
  await guest.put(`${v3}/sendToDevice/m.test/1`, { messages: {} })
})

test.each([
  ['POST', `${v3}/createRoom`, {}],
  ['POST', `${v3}/account/password`, { new_password: 'correct horse' }],
  ['POST', `${v3}/user_directory/search`, { search_term: 'x' }],
  ['POST', `${v3}/search`, { search_categories: {} }],
  ['POST', '/_matrix/media/v3/upload', {}],
  ['POST', `${v3}/pushers/set`, { app_id: 'x', pushkey: 'x', kind: null }],
  ['GET', `${v3}/notifications`, undefined],
])('may not: %s %s', async (method, path, body) => {
  expect(await refusal(guest, method, path, body)).toEqual([403, 'M_GUEST_ACCESS_FORBIDDEN'])
})

test('invites nobody and changes no one’s membership', async () => {
  await setGuestAccess('can_join')
  await joinRoom(roomId, guest)
  for (const verb of ['invite', 'kick', 'ban']) {
    const { status } = await guest.ask('POST', roomPath(roomId, verb), { user_id: alice.userId })
    expect(status).toBe(403)
  }
})

test('becomes a member of the server with the same id', async () => {
  const username = guest.userId.slice(1, guest.userId.indexOf(':'))
  const body = { username, password: 'correct horse battery', guest_access_token: guest.accessToken }
  const upgraded = await registerUser(hearth.url, username, body)
  expect(upgraded.userId).toBe(guest.userId)
  await upgraded.post(`${v3}/createRoom`, {})
  const login = { type: 'm.login.password', user: upgraded.userId, password: 'correct horse battery' }
  expect((await ask(hearth.url, { method: 'POST', path: `${v3}/login`, body: login })).status).toBe(200)
  // Neither the same guest again, nor with another name.
  expect((await ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })).status).toBe(403)
  const other = { username: uniqueName(), password: 'correct horse battery', guest_access_token: 'nonsense' }
  const answer = await ask(hearth.url, { method: 'POST', path: `${v3}/register`, body: other })
  expect(answer.status).toBeGreaterThanOrEqual(400)
})
