import { describe, expect, inject, test } from 'vitest'
import { ask, asUser, registerUser, type TestUser } from '../harness/client.ts'

const { url } = inject('homeserver')
const roomId = '!somewhere:example.org'
const base = (user: TestUser) => `/_matrix/client/v3/user/${encodeURIComponent(user.userId)}`
const inRoom = (user: TestUser) => `${base(user)}/rooms/${encodeURIComponent(roomId)}`

/** https://spec.matrix.org/v1.19/client-server-api/#client-config */
describe('account data', () => {
  test.each([
    ['global', base],
    ['of a room', inRoom],
  ])('%s: what is put is got, until it is deleted', async (_, place) => {
    const user = await registerUser(url)
    const path = `${place(user)}/account_data/org.example.settings`
    expect((await user.ask('GET', path)).body.errcode).toBe('M_NOT_FOUND')
    const content = { a: 1, 'ü/': [true, null, 1.5], __proto__x: {}, big: 2 ** 60, 9: 'nine' }
    await user.put(path, content)
    expect(await user.get(path)).toEqual(content)
    await user.put(path, {})
    expect((await user.ask('GET', path)).status).toBe(404)
    await user.put(path, content)
    const unstable = path.replace('/v3/', '/unstable/org.matrix.msc3391/')
    expect((await user.ask('DELETE', unstable)).status).toBe(200)
    expect((await user.ask('GET', path)).status).toBe(404)
  })

  test('settings of a device go with it', async () => {
    const user = await registerUser(url)
    const body = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: user.userId },
      password: 'correct horse battery',
    }
    const other = asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body)
    const path = (deviceId: string) =>
      `${base(user)}/account_data/org.matrix.msc3890.local_notification_settings.${deviceId}`
    await user.put(path(user.deviceId), { is_silenced: true })
    await user.put(path(other.deviceId), { is_silenced: true })
    await other.post('/_matrix/client/v3/logout')
    expect((await user.ask('GET', path(other.deviceId))).body.errcode).toBe('M_NOT_FOUND')
    expect(await user.get(path(user.deviceId))).toEqual({ is_silenced: true })
  })

  test('global and of a room are apart', async () => {
    const user = await registerUser(url)
    await user.put(`${base(user)}/account_data/t`, { where: 'global' })
    await user.put(`${inRoom(user)}/account_data/t`, { where: 'room' })
    expect(await user.get(`${base(user)}/account_data/t`)).toEqual({ where: 'global' })
    expect(await user.get(`${inRoom(user)}/account_data/t`)).toEqual({ where: 'room' })
  })

  test.each(['m.push_rules', 'm.fully_read'])('%s is not for clients to put', async (type) => {
    const user = await registerUser(url)
    for (const place of [base, inRoom]) {
      const answer = await user.ask('PUT', `${place(user)}/account_data/${type}`, {})
      expect([answer.status, answer.body.errcode]).toEqual([405, 'M_BAD_JSON'])
    }
  })

  test('m.push_rules can be got', async () => {
    const user = await registerUser(url)
    const { global } = await user.get(`${base(user)}/account_data/m.push_rules`)
    expect(global.override[0].rule_id).toBe('.m.rule.master')
  })

  test('content that is no object, and invalid rooms, are refused', async () => {
    const user = await registerUser(url)
    const answer = await user.ask('PUT', `${base(user)}/account_data/t`, [1])
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_BAD_JSON'])
    const noRoom = await user.ask('PUT', `${base(user)}/rooms/nowhere/account_data/t`, {})
    expect([noRoom.status, noRoom.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
  })

  test("another's is forbidden", async () => {
    const [user, other] = await Promise.all([registerUser(url), registerUser(url)])
    for (const method of ['GET', 'PUT']) {
      const answer = await user.ask(method, `${base(other)}/account_data/t`, method === 'PUT' ? {} : undefined)
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    }
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#room-tagging */
describe('tags', () => {
  test('are added, changed and taken away, and are the account data m.tag', async () => {
    const user = await registerUser(url)
    const tags = `${inRoom(user)}/tags`
    expect(await user.get(tags)).toEqual({ tags: {} })
    await user.put(`${tags}/m.favourite`, { order: 0.25 })
    await user.put(`${tags}/${encodeURIComponent('u.Ä b')}`, {})
    expect(await user.get(tags)).toEqual({ tags: { 'm.favourite': { order: 0.25 }, 'u.Ä b': {} } })
    expect(await user.get(`${inRoom(user)}/account_data/m.tag`)).toEqual(await user.get(tags))
    expect((await user.ask('DELETE', `${tags}/m.favourite`)).status).toBe(200)
    expect(await user.get(tags)).toEqual({ tags: { 'u.Ä b': {} } })
  })

  test('many at once are all kept', async () => {
    const user = await registerUser(url)
    const names = Array.from({ length: 10 }, (_, i) => `u.${i}`)
    await Promise.all(names.map((name) => user.put(`${inRoom(user)}/tags/${name}`, {})))
    expect(Object.keys((await user.get(`${inRoom(user)}/tags`)).tags).sort()).toEqual(names)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#filtering */
describe('filters', () => {
  test('are stored, the same one once', async () => {
    const user = await registerUser(url)
    const filter = { room: { timeline: { limit: 5, lazy_load_members: true } }, event_fields: ['content.body'] }
    const { filter_id: id } = await user.post(`${base(user)}/filter`, filter)
    expect(await user.get(`${base(user)}/filter/${id}`)).toEqual(filter)
    expect((await user.post(`${base(user)}/filter`, filter)).filter_id).toBe(id)
    expect((await user.ask('GET', `${base(user)}/filter/none`)).body.errcode).toBe('M_NOT_FOUND')
  })

  test('that are none are refused', async () => {
    const user = await registerUser(url)
    const answer = await user.ask('POST', `${base(user)}/filter`, { room: { timeline: { limit: 'many' } } })
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_BAD_JSON'])
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token */
test('an OpenID token', async () => {
  const user = await registerUser(url)
  const token = await user.post(`${base(user)}/openid/request_token`)
  expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 3600, access_token: expect.any(String) })
  expect(user.userId.endsWith(`:${token.matrix_server_name}`)).toBe(true)
})
