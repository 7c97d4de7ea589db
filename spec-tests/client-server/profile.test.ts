import { describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { slidingClient } from '../harness/sliding-client.ts'

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

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4429 and
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4262
 */
describe('profile updates in syncs', () => {
  const FIELDS = ['displayname', 'org.example.mood', 'org.example.away']
  const setField = (user: TestUser, field: string, value: unknown) =>
    user.put(pathOf(user.userId, field), { [field]: value })
  const enter = (user: TestUser, roomId: string, act: 'join' | 'leave') =>
    user.post(`/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/${act}`)

  /** Returns a function that syncs until the response has profiles, and returns these. */
  function syncer(user: TestUser, filter: object = {}) {
    const asked = JSON.stringify({ 'org.matrix.msc4429.profile_fields': { ids: FIELDS }, ...filter })
    let since = ''
    const once = async (timeout = 0) => {
      const query = `filter=${encodeURIComponent(asked)}&timeout=${timeout}${since && `&since=${since}`}`
      const body = await user.get(`/_matrix/client/v3/sync?${query}`)
      since = body.next_batch
      return body['org.matrix.msc4429.users']
    }
    return { once, next: () => pollUntil('a response has profiles', () => once(1000)) }
  }

  /** The same for sliding sync. */
  function slider(user: TestUser, fields: string[] | null = FIELDS, state: string[][] = []) {
    const client = slidingClient(user, { connId: uniqueName() })
    const request = {
      lists: { all: { ranges: [[0, 9]], timeline_limit: 1, required_state: state } },
      extensions: { 'org.matrix.msc4262.profiles': { enabled: true, fields } },
    }
    const once = async (timeout = 0, other: object = {}) =>
      (await client.sync({ ...request, ...other }, { timeout })).extensions['org.matrix.msc4262.profiles']?.users
    return { once, next: () => pollUntil('a response has profiles', () => once(1000)) }
  }

  test('servers announce them', async () => {
    const { body } = await ask(url, { method: 'GET', path: '/_matrix/client/versions' })
    expect(body.unstable_features).toMatchObject({ 'org.matrix.msc4429': true, 'org.matrix.msc4262': true })
  })

  test('wanted fields of room mates, whole at first, then as they change, until the last room is left', async () => {
    const [alice, bob, stranger] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
    await setField(bob, 'org.example.mood', 'calm')
    await setField(bob, 'org.example.other', 1)
    await setField(stranger, 'org.example.mood', 'lonely')
    const { room_id: roomId } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
    await enter(bob, roomId, 'join')
    const [old, sliding, lazy] = [syncer(alice), slider(alice), slider(alice, null, [['m.room.member', '$LAZY']])]
    const lazyOld = syncer(alice, { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } })
    const unasked = syncer(alice, { 'org.matrix.msc4429.profile_fields': {} })
    const own = slider(bob, ['org.example.mood'])
    const [all, allSliding] = [await old.once(), await sliding.once()]
    expect(all[bob.userId].profile_updates).toMatchObject({ 'org.example.mood': 'calm' })
    expect(all[bob.userId].profile_updates).not.toHaveProperty(['org.example.other'])
    expect(all).not.toHaveProperty([stranger.userId])
    expect(allSliding[bob.userId].updated).toEqual(all[bob.userId].profile_updates)
    // Bob's join is the only event of the timeline.
    expect((await lazyOld.once())[bob.userId]).toEqual(all[bob.userId])
    expect((await lazy.once())[bob.userId].updated).toMatchObject({
      'org.example.mood': 'calm',
      'org.example.other': 1,
    })
    expect((await own.once())[bob.userId]).toEqual({ updated: { 'org.example.mood': 'calm' } })
    expect(await unasked.once()).toBeUndefined()

    await setField(bob, 'org.example.mood', 'glad')
    await setField(bob, 'org.example.away', { until: 5 })
    await setField(bob, 'org.example.away', null)
    await setField(bob, 'org.example.mood', 'proud')
    await bob.ask('DELETE', pathOf(bob.userId, 'org.example.mood'))
    const changes = { 'org.example.mood': null, 'org.example.away': null }
    expect(await old.once()).toEqual({ [bob.userId]: { profile_updates: changes } })
    expect(await lazyOld.once()).toEqual({ [bob.userId]: { profile_updates: changes } })
    const slid = { updated: { 'org.example.away': null }, removed: ['org.example.mood'] }
    expect(await sliding.once()).toEqual({ [bob.userId]: slid })
    expect(await lazy.once()).toEqual({ [bob.userId]: slid })
    expect(await own.once()).toEqual({ [bob.userId]: { removed: ['org.example.mood'] } })
    expect(await unasked.once()).toBeUndefined()

    const waiting = Promise.all([old.next(), sliding.next(), lazy.next()])
    await setField(bob, 'org.example.mood', 'late')
    const late = { 'org.example.mood': 'late' }
    expect((await waiting)[0]).toEqual({ [bob.userId]: { profile_updates: late } })
    for (const told of (await waiting).slice(1)) expect(told).toEqual({ [bob.userId]: { updated: late } })

    await enter(bob, roomId, 'leave')
    await setField(bob, 'org.example.mood', 'away')
    expect(await old.once()).toEqual({ [bob.userId]: { profile_updates: null } })
    expect(await sliding.once()).toEqual({ [bob.userId]: null })
    expect(await lazy.once()).toEqual({ [bob.userId]: null })
    await enter(bob, roomId, 'join')
    const whole = { 'org.example.mood': 'away', 'org.example.away': null }
    expect((await old.once())[bob.userId].profile_updates).toMatchObject(whole)
    expect((await sliding.once())[bob.userId].updated).toMatchObject(whole)
    expect((await lazy.once())[bob.userId].updated).toMatchObject(whole)
    const more = { extensions: { 'org.matrix.msc4262.profiles': { enabled: true, fields: ['org.example.other'] } } }
    expect((await sliding.once(0, more))[bob.userId]).toEqual({ updated: { 'org.example.other': 1 } })
  })
})
