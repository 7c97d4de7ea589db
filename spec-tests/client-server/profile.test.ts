import { describe, expect, inject, test } from 'vitest'
import { ask, registerUser, uniqueName } from '../harness/client.ts'

const { url } = inject('homeserver')
const pathOf = (userId: string, field = '') =>
  `/_matrix/client/v3/profile/${encodeURIComponent(userId)}${field && `/${encodeURIComponent(field)}`}`

/** https://spec.matrix.org/v1.19/client-server-api/#profiles */
describe('profiles', () => {
  test('a name and an avatar are seen by all, without a token too', async () => {
    const user = await registerUser(url)
    await user.put(pathOf(user.userId, 'displayname'), { displayname: 'Alice ☕' })
    await user.put(pathOf(user.userId, 'avatar_url'), { avatar_url: 'mxc://example.org/abc' })
    const seen = await ask(url, { method: 'GET', path: pathOf(user.userId) })
    expect(seen.body).toEqual({ displayname: 'Alice ☕', avatar_url: 'mxc://example.org/abc' })
    const name = await ask(url, { method: 'GET', path: pathOf(user.userId, 'displayname') })
    expect(name.body).toEqual({ displayname: 'Alice ☕' })
  })

  test('names and avatars reach the rooms', async () => {
    const user = await registerUser(url)
    const { room_id: roomId } = await user.post('/_matrix/client/v3/createRoom')
    await user.put(pathOf(user.userId, 'displayname'), { displayname: 'New Name' })
    await user.put(pathOf(user.userId, 'avatar_url'), { avatar_url: 'mxc://example.org/new' })
    const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
    const member = await user.get(`${room}/state/m.room.member/${encodeURIComponent(user.userId)}`)
    expect(member).toEqual({ membership: 'join', displayname: 'New Name', avatar_url: 'mxc://example.org/new' })
  })

  test('fields of any kind can be set, and deleted', async () => {
    const user = await registerUser(url)
    const value = { nested: ['x', 1, { y: null }] }
    await user.put(pathOf(user.userId, 'm.tz'), { 'm.tz': 'Europe/London' })
    await user.put(pathOf(user.userId, 'org.example.job_title'), { 'org.example.job_title': value })
    expect(await user.get(pathOf(user.userId))).toMatchObject({
      'm.tz': 'Europe/London',
      'org.example.job_title': value,
    })
    for (let i = 0; i < 2; i++) {
      expect((await user.ask('DELETE', pathOf(user.userId, 'org.example.job_title'))).status).toBe(200)
    }
    expect((await user.ask('GET', pathOf(user.userId, 'org.example.job_title'))).body.errcode).toBe('M_NOT_FOUND')
    expect((await user.ask('DELETE', pathOf(user.userId, 'displayname'))).status).toBe(200)
    expect(await user.get(pathOf(user.userId))).toEqual({ 'm.tz': 'Europe/London' })
  })

  test('under the unstable name as well', async () => {
    const user = await registerUser(url)
    const unstable = '/_matrix/client/unstable/uk.tcpip.msc4133/profile/'
    await user.put(`${unstable}${encodeURIComponent(user.userId)}/m.tz`, { 'm.tz': 'UTC' })
    expect((await user.get(`${unstable}${encodeURIComponent(user.userId)}`))['m.tz']).toBe('UTC')
  })

  test.each([
    ['displayname', { displayname: 5 }, 'M_INVALID_PARAM'],
    ['displayname', { displayname: 'x'.repeat(257) }, 'M_INVALID_PARAM'],
    ['displayname', { displayname: 'a\0b' }, 'M_INVALID_PARAM'],
    ['displayname', {}, 'M_MISSING_PARAM'],
    ['Not.A.Name', { 'Not.A.Name': 1 }, 'M_INVALID_PARAM'],
    ['unnamespaced', { unnamespaced: 1 }, 'M_INVALID_PARAM'],
    ['__proto__', { x: 1 }, 'M_MISSING_PARAM'],
    [`org.${'x'.repeat(255)}`, { [`org.${'x'.repeat(255)}`]: 1 }, 'M_KEY_TOO_LARGE'],
    ['org.example.big', { 'org.example.big': 'x'.repeat(65_536) }, 'M_PROFILE_TOO_LARGE'],
  ])('%s cannot become %.40j', async (field, body, errcode) => {
    const user = await registerUser(url)
    const answer = await user.ask('PUT', pathOf(user.userId, field), body)
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })

  test('null is a value of a field that clients define, and none of a name', async () => {
    const user = await registerUser(url)
    const path = pathOf(user.userId, 'org.example.field')
    await user.put(path, { 'org.example.field': null })
    expect(await user.get(path)).toEqual({ 'org.example.field': null })
    expect(await user.get(pathOf(user.userId))).toMatchObject({ 'org.example.field': null })
    for (const field of ['displayname', 'avatar_url', 'm.tz']) {
      const answer = await user.ask('PUT', pathOf(user.userId, field), { [field]: null })
      expect([field, answer.status, answer.body.errcode]).toEqual([field, 400, 'M_INVALID_PARAM'])
    }
    await user.ask('DELETE', path)
    expect((await user.ask('GET', path)).status).toBe(404)
  })

  test('a value nested without end is refused', async () => {
    const user = await registerUser(url)
    const response = await fetch(url + pathOf(user.userId, 'org.example.deep'), {
      method: 'PUT',
      headers: { Authorization: `Bearer ${user.accessToken}` },
      body: `{"org.example.deep":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    })
    expect(response.status).toBe(400)
  })

  test("another's cannot be changed", async () => {
    const [user, other] = await Promise.all([registerUser(url), registerUser(url)])
    const answer = await user.ask('PUT', pathOf(other.userId, 'displayname'), { displayname: 'x' })
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  test('of nobody is not found', async () => {
    const user = await registerUser(url)
    const nobody = user.userId.replace(/^@[^:]*/, `@${uniqueName('none')}`)
    for (const path of [pathOf(nobody), pathOf(nobody, 'displayname')]) {
      expect((await user.ask('GET', path)).body.errcode).toBe('M_NOT_FOUND')
    }
    expect((await user.ask('GET', pathOf('not-a-user'))).status).toBe(400)
  })
})
