import { beforeAll, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, outcomeOf, registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, roomPath } from '../harness/rooms.ts'

/** Reports, redaction of users, registration tokens and facts about the server, in Synapse's admin API. */
const { url, sharedSecret } = inject('homeserver')
const v1 = (path: string) => `/_synapse/admin/v1/${path}`
const hearth = (path: string) => `/_hearth/admin/v1/${path}`
const of = ({ userId }: { userId: string }) => encodeURIComponent(userId)

let admin: TestUser
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
})

describe('reports', () => {
  test('of events are listed, shown and deleted', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice, { name: 'Tea' })
    await joinRoom(roomId, bob)
    const eventIds = [await sendText(alice, roomId, 'one'), await sendText(alice, roomId, 'two')]
    for (const eventId of eventIds)
      await bob.post(roomPath(roomId, eventPath('report', eventId)), { reason: 'spam', score: -100 })
    const report = (eventId: string) => ({
      ...{ id: expect.any(Number), received_ts: expect.any(Number), room_id: roomId, name: 'Tea' },
      ...{ canonical_alias: null, event_id: eventId, user_id: bob.userId, sender: alice.userId },
      ...{ reason: 'spam', score: -100 },
    })
    const list = (query: string) => admin.get(v1(`event_reports?room_id=${encodeURIComponent(roomId)}&${query}`))
    const all = await list('dir=f')
    expect(all).toEqual({ event_reports: eventIds.map(report), total: 2 })
    expect(await list('limit=1')).toEqual({ event_reports: [report(eventIds[1]!)], total: 2, next_token: 1 })
    expect((await list('limit=1&from=1')).event_reports).toEqual([report(eventIds[0]!)])
    expect((await list(`user_id=${of(alice)}`)).total).toBe(0)
    expect((await list(`event_sender_user_id=${of(alice)}&user_id=${of(bob)}&order_by=x`)).total).toBe(2)
    const { id } = all.event_reports[0]
    const one = await admin.get(v1(`event_reports/${id}`))
    expect(one).toMatchObject({
      ...report(eventIds[0]!),
      event_json: { content: { body: 'one' }, sender: alice.userId },
    })
    expect(await outcomeOf(admin, 'DELETE', v1(`user_reports/${id}`))).toEqual([404, 'M_NOT_FOUND'])
    expect((await admin.ask('DELETE', v1(`event_reports/${id}`))).body).toEqual({})
    expect(await outcomeOf(admin, 'DELETE', v1(`event_reports/${id}`))).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(admin, 'GET', v1('event_reports/x'))).toEqual([400, 'M_INVALID_PARAM'])
  })

  test('of users are listed, shown and deleted', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    await bob.post(`/_matrix/client/v3/users/${of(alice)}/report`, { reason: 'rude' })
    const report = {
      ...{ id: expect.any(Number), received_ts: expect.any(Number), target_user_id: alice.userId },
      ...{ user_id: bob.userId, reason: 'rude' },
    }
    const list = v1(`user_reports?target_user_id=${of(alice)}&user_id=${of(bob)}`)
    const { user_reports: reports, total } = await admin.get(list)
    expect([reports, total]).toEqual([[report], 1])
    expect(await admin.get(v1(`user_reports/${reports[0].id}`))).toEqual(report)
    expect(await outcomeOf(admin, 'GET', v1(`event_reports/${reports[0].id}`))).toEqual([404, 'M_NOT_FOUND'])
    await admin.ask('DELETE', v1(`user_reports/${reports[0].id}`))
    expect((await admin.get(list)).total).toBe(0)
  })

  test('of all kinds have states and notes', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice, { name: 'Tea' })
    await joinRoom(roomId, bob)
    const eventId = await sendText(alice, roomId, 'one')
    await bob.post(roomPath(roomId, eventPath('report', eventId)), { reason: 'spam', score: -100 })
    await bob.post(roomPath(roomId, 'report'), { reason: 'a nest' })
    await bob.post(`/_matrix/client/v3/users/${of(alice)}/report`, { reason: 'rude' })
    const list = (query = '') => admin.get(hearth(`reports?user_id=${of(bob)}${query}`))
    const { reports, total } = await list()
    const common = { id: expect.any(Number), received_ts: expect.any(Number), user_id: bob.userId, state: 'open' }
    const nothing = { room_id: null, room_name: null, canonical_alias: null, event_id: null, sender: null, score: null }
    const inRoom = { ...common, target_user_id: null, canonical_alias: null, room_id: roomId, room_name: 'Tea' }
    expect(reports).toEqual([
      { ...common, ...nothing, kind: 'user', reason: 'rude', target_user_id: alice.userId },
      { ...inRoom, kind: 'room', reason: 'a nest', event_id: null, sender: null, score: null },
      { ...inRoom, kind: 'event', reason: 'spam', event_id: eventId, sender: alice.userId, score: -100 },
    ])
    expect(total).toBe(3)
    const [user, room, event] = reports.map(({ id }: { id: number }) => hearth(`reports/${id}`))
    expect(await list(`&limit=1&kind=room`)).toEqual({ reports: [reports[1]], total: 1 })
    expect(await list('&limit=2')).toMatchObject({ total: 3, next_token: reports[1].id })
    expect((await list(`&limit=2&from=${reports[1].id}`)).reports).toEqual([reports[2]])

    expect(await outcomeOf(admin, 'PUT', event, {})).toEqual([400, expect.any(String)])
    expect(await outcomeOf(admin, 'PUT', event, { state: 'odd' })).toEqual([400, expect.any(String)])
    await admin.put(event, { note: 'I ask her' })
    const done = await admin.put(event, { state: 'resolved', note: 'she was warned' })
    expect(done).toMatchObject({ ...reports[2], state: 'resolved', event_json: { content: { body: 'one' } } })
    expect(await admin.get(event)).toEqual(done)
    expect(done.notes).toEqual([
      { ts: expect.any(Number), author: admin.userId, state: null, note: 'I ask her' },
      { ts: expect.any(Number), author: admin.userId, state: 'resolved', note: 'she was warned' },
    ])
    await admin.put(room, { state: 'dismissed' })
    expect((await list('&state=open')).reports.map(({ kind }: { kind: string }) => kind)).toEqual(['user'])
    expect((await list('&state=dismissed')).total).toBe(1)
    expect((await admin.get(v1(`event_reports?user_id=${of(bob)}`))).event_reports).toHaveLength(1)
    await admin.ask('DELETE', user)
    expect(await outcomeOf(admin, 'GET', user)).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(admin, 'PUT', user, { state: 'open' })).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(bob, 'GET', event)).toEqual([403, 'M_FORBIDDEN'])
  })
})

test('all pending invites of a user are rejected', async () => {
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  const rooms = [await createRoom(bob), await createRoom(bob, { invite: [alice.userId] })]
  await bob.post(roomPath(rooms[0]!, 'invite'), { user_id: alice.userId })
  const path = hearth(`users/${of(alice)}/reject_invites`)
  expect(await outcomeOf(bob, 'POST', path)).toEqual([403, 'M_FORBIDDEN'])
  expect(await outcomeOf(admin, 'POST', hearth('users/@nobody:remote.example.org/reject_invites'))).toEqual([
    ...[400, 'M_INVALID_PARAM'],
  ])
  const { task_id } = await admin.post(path)
  const task = await pollUntil('the invites are rejected', async () => {
    const { scheduled_tasks: tasks } = await admin.get(v1(`scheduled_tasks?resource_id=${of(alice)}`))
    return tasks[0]?.status === 'complete' && tasks[0]
  })
  expect(task).toMatchObject({ id: task_id, action: 'reject_invites', result: { total: 2, rejected: 2, left: 0 } })
  for (const roomId of rooms)
    expect((await bob.get(roomPath(roomId, `state/m.room.member/${of(alice)}`))).membership).toBe('leave')
})

describe('an erasure', () => {
  const erase = (user: TestUser) => hearth(`users/${of(user)}/erase`)
  const ended = (user: TestUser) =>
    pollUntil('the erasure ends', async () => {
      const erasure = await admin.get(erase(user))
      return !['scheduled', 'active'].includes(erasure.status) && erasure
    })
  const upload = async (user: TestUser) => {
    const headers = { Authorization: `Bearer ${user.accessToken}`, 'Content-Type': 'text/plain' }
    const sent = await fetch(`${url}/_matrix/media/v3/upload`, { method: 'POST', headers, body: uniqueName() })
    return ((await sent.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
  }
  const download = (user: TestUser, name: string) => outcomeOf(user, 'GET', `/_matrix/client/v1/media/download/${name}`)

  test('deletes the files, redacts if that is wanted, leaves the rooms and reports it', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(bob, { preset: 'public_chat' })
    await joinRoom(roomId, alice)
    const eventId = await sendText(alice, roomId, 'private')
    const [file, kept] = [await upload(alice), await upload(alice)]
    await admin.post(v1(`media/quarantine/${kept}`), {})
    expect(await download(bob, file)).toEqual([200, undefined])
    expect(await outcomeOf(bob, 'POST', erase(alice), {})).toEqual([403, 'M_FORBIDDEN'])
    expect(await outcomeOf(admin, 'GET', erase(alice))).toEqual([404, 'M_NOT_FOUND'])
    const { task_id } = await admin.post(erase(alice), { redact_events: true, reason: 'asked for' })
    const erasure = await ended(alice)
    expect(erasure).toMatchObject({ task_id, status: 'complete' })
    expect(erasure.report).toMatchObject({ media_deleted: 1, media_kept: 1, failed_redactions: {} })
    expect(erasure.report.redacted).toBeGreaterThanOrEqual(1)
    expect(erasure.report.deleted).toContain('profile')
    expect(await download(bob, file)).toEqual([404, 'M_NOT_FOUND'])
    expect((await bob.get(roomPath(roomId, eventPath('event', eventId)))).content).toEqual({})
    await pollUntil('the room is left', async () => {
      return (await bob.get(roomPath(roomId, `state/m.room.member/${of(alice)}`))).membership === 'leave'
    })
    const { scheduled_tasks: tasks } = await admin.get(v1(`scheduled_tasks?resource_id=${of(alice)}`))
    expect(tasks).toMatchObject([{ id: task_id, action: 'erase_user', status: 'complete' }])
  })

  test('by Synapse’s path, or by the user, deletes the files too', async () => {
    const alice = await registerUser(url)
    const file = await upload(alice)
    expect(await admin.post(v1(`deactivate/${of(alice)}`), { erase: true })).toEqual({
      ...{ id_server_unbind_result: 'success' },
    })
    expect((await ended(alice)).report).toMatchObject({ media_deleted: 1, redacted: 0 })
    expect(await download(admin, file)).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(admin, 'POST', erase(admin), {})).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('a shadow ban', () => {
  const ban = (user: TestUser, method = 'POST') => admin.ask(method, v1(`users/${of(user)}/shadow_ban`))
  const eventId = expect.stringMatching(/^\$[\w-]{43}$/)
  const delayed = '?org.matrix.msc4140.delay=100'

  test('lets requests appear to succeed that reach nobody', async () => {
    const [alice, bob, carol] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
    const roomId = await createRoom(bob, { preset: 'public_chat', power_level_content_override: { users_default: 50 } })
    await joinRoom(roomId, alice)
    const before = await sendText(alice, roomId, 'before')
    await alice.put(roomPath(roomId, `send/m.room.message/d${delayed}`), { body: 'late', msgtype: 'm.text' })
    expect((await ban(alice)).body).toEqual({})
    expect((await admin.get(`/_synapse/admin/v2/users/${of(alice)}`)).shadow_banned).toBe(true)
    const { users } = await admin.get(`/_synapse/admin/v3/users?shadow_banned=true&user_id=${of(alice)}`)
    expect(users).toMatchObject([{ name: alice.userId, shadow_banned: true }])

    const message = { body: 'x', msgtype: 'm.text' }
    const member = (userId: string) => roomPath(roomId, `state/m.room.member/${encodeURIComponent(userId)}`)
    const path = (rest: string) => roomPath(roomId, rest)
    const answers: [method: string, path: string, body: object, answer: object][] = [
      ['PUT', path('send/m.room.message/1'), message, { event_id: eventId }],
      ['POST', path('send/m.room.message'), message, { event_id: eventId }],
      ['PUT', path(`send/m.room.message/2${delayed}`), message, { delay_id: expect.any(String) }],
      ['PUT', path('state/m.room.topic/'), { topic: 'x' }, { event_id: eventId }],
      ['PUT', path(`redact/${encodeURIComponent(before)}/1`), {}, { event_id: eventId }],
      ['PUT', member(carol.userId), { membership: 'invite' }, { event_id: eventId }],
      ['POST', path('invite'), { user_id: carol.userId }, {}],
      ['PUT', path(`typing/${of(alice)}`), { typing: true, timeout: 30000 }, {}],
      ...['kick', 'ban', 'unban'].map((act): [string, string, object, object] => [
        ...(['POST', path(act), { user_id: bob.userId, reason: 'spam' }, {}] as const),
      ]),
      ['PUT', member(carol.userId), { membership: 'ban', reason: 'spam' }, { event_id: eventId }],
      ['PUT', `/_matrix/client/v3/presence/${of(alice)}/status`, { presence: 'online', status_msg: 'spam' }, {}],
      ['POST', path('upgrade'), { new_version: '12' }, { replacement_room: expect.stringMatching(/^!/) }],
    ]
    for (const [method, to, body, answer] of answers)
      expect([to, (await alice.ask(method, to, body)).body]).toEqual([to, answer])
    const again = () => alice.put(path('send/m.room.message/1'), message)
    expect(await again()).toEqual(await again())
    expect(await alice.put(path('send/m.room.message/3'), message)).not.toEqual(await again())
    const own = { [alice.userId]: { '*': { own: true } } }
    const messages = { ...own, [bob.userId]: { '*': { spam: true } } }
    await alice.put('/_matrix/client/v3/sendToDevice/org.example.spam/1', { messages })
    await alice.post(path(`receipt/m.read/${encodeURIComponent(before)}`))
    await alice.post(path('read_markers'), { 'm.read': before, 'm.fully_read': before })
    await alice.put(`/_matrix/client/v3/profile/${of(alice)}/org.example.mood`, { 'org.example.mood': 'spam' })
    const followed = { 'org.matrix.msc4429.profile_fields': { ids: ['org.example.mood'] } }
    const sync = (user: TestUser) =>
      user.get(`/_matrix/client/v3/sync?filter=${encodeURIComponent(JSON.stringify(followed))}`)
    const toOwnDevices = expect.objectContaining({ type: 'org.example.spam', content: { own: true } })
    const ofAlice = await sync(alice)
    expect(ofAlice.to_device.events).toEqual([toOwnDevices])
    expect(ofAlice['org.matrix.msc4429.users']).toHaveProperty([alice.userId])
    expect(JSON.stringify(ofAlice.rooms.join[roomId])).toContain('m.read.private')
    const ofBob = await sync(bob)
    expect(ofBob).not.toHaveProperty('to_device')
    expect(ofBob['org.matrix.msc4429.users'] ?? {}).not.toHaveProperty([alice.userId])
    expect(JSON.stringify(ofBob.rooms.join[roomId].ephemeral)).not.toContain(alice.userId)
    const status = await bob.get(`/_matrix/client/v3/presence/${of(alice)}/status`)
    expect(status.presence).not.toBe('online')
    await alice.put(`/_matrix/client/v3/profile/${of(alice)}/displayname`, { displayname: 'Nasty' })
    expect(await outcomeOf(alice, 'PUT', member(alice.userId), { membership: 'join', displayname: 'Nasty' })).toEqual([
      ...[200, undefined],
    ])
    const room = await createRoom(alice, { preset: 'private_chat', invite: [carol.userId] })
    expect(await outcomeOf(carol, 'POST', `/_matrix/client/v3/join/${encodeURIComponent(room)}`, {})).toEqual([
      ...[403, 'M_FORBIDDEN'],
    ])

    const last = await sendText(bob, roomId, 'last')
    const { chunk } = await bob.get(path('messages?dir=b&limit=50'))
    const seen = chunk.map(({ event_id }: { event_id: string }) => event_id)
    expect(seen.slice(seen.indexOf(last), seen.indexOf(before) + 1)).toHaveLength(2)
    expect((await bob.get(member(alice.userId))).displayname).not.toBe('Nasty')
    expect(await outcomeOf(bob, 'GET', member(carol.userId))).toEqual([404, 'M_NOT_FOUND'])
    expect((await bob.get(path(eventPath('event', before)))).content).toMatchObject({ body: 'before' })

    const presence = await bob.get(`/_matrix/client/v3/presence/${of(alice)}/status`)
    expect(presence.status_msg).toBeUndefined()
    const back = async () => {
      await alice.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, {
        reason: 'spam',
        'org.example': 'spam',
      })
      return bob.get(member(alice.userId))
    }
    await alice.post(path('leave'), { reason: 'spam' })
    expect(JSON.stringify([await bob.get(member(alice.userId)), await back()])).not.toMatch(/spam/)
    await alice.put(member(alice.userId), { membership: 'leave', reason: 'spam' })
    expect(await bob.get(member(alice.userId))).toEqual({ membership: 'leave' })
    await back()

    await ban(alice, 'DELETE')
    const after = await sendText(alice, roomId, 'after')
    expect((await bob.get(path(eventPath('event', after)))).sender).toBe(alice.userId)
  })

  test('is for users of this server who are no administrators', async () => {
    const user = await registerUser(url)
    const codes = (userId: string, method = 'POST') => outcomeOf(admin, method, v1(`users/${userId}/shadow_ban`))
    expect(await codes('@someone:remote.example.org')).toEqual([400, 'M_INVALID_PARAM'])
    expect(await codes(of(admin))).toEqual([403, 'M_FORBIDDEN'])
    expect(await codes(of(user).replace('%40', '%40no-'), 'DELETE')).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(user, 'POST', v1(`users/${of(user)}/shadow_ban`))).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('the redaction of a user', () => {
  const ended = (redactId: string) =>
    pollUntil('the redaction ends', async () => {
      const state = await admin.get(v1(`user/redact_status/${redactId}`))
      return !['scheduled', 'active'].includes(state.status) && state
    })
  const contentOf = async (reader: TestUser, roomId: string, eventId: string) =>
    (await reader.get(roomPath(roomId, eventPath('event', eventId)))).content

  test('empties messages and memberships in all rooms, not the state of rooms', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const [roomId, other] = [await createRoom(alice, { name: 'Tea' }), await createRoom(bob)]
    await joinRoom(roomId, bob)
    await joinRoom(other, alice)
    const sent = [await sendText(alice, roomId, 'one'), await sendText(alice, roomId, 'two')]
    const elsewhere = await sendText(alice, other, 'three')
    const kept = await sendText(bob, roomId, 'kept')
    const { redact_id: id } = await admin.post(v1(`user/${of(alice)}/redact`), { rooms: [], reason: 'spam' })
    expect(await ended(id)).toEqual({ status: 'complete', failed_redactions: {} })
    for (const eventId of sent) expect(await contentOf(bob, roomId, eventId)).toEqual({})
    expect(await contentOf(bob, other, elsewhere)).toEqual({})
    expect(await contentOf(bob, roomId, kept)).toMatchObject({ body: 'kept' })
    const state = (type: string) => bob.get(roomPath(roomId, `state/${type}`))
    expect(await state('m.room.name/')).toEqual({ name: 'Tea' })
    expect(await state(`m.room.member/${of(alice)}`)).toEqual({ membership: 'join' })
    const { unsigned } = await bob.get(roomPath(roomId, eventPath('event', sent[0]!)))
    expect(unsigned.redacted_because).toMatchObject({ sender: alice.userId, content: { reason: 'spam' } })
    const tasks = await admin.get(v1(`scheduled_tasks?resource_id=${of(alice)}&status=complete&from=0`))
    expect(tasks.scheduled_tasks).toEqual([
      {
        ...{ id, action: 'redact_user', status: 'complete', timestamp_ms: expect.any(Number), error: null },
        ...{
          resource_id: alice.userId,
          result: { failed_redactions: {}, redacted: expect.any(Number), rooms_left: 0 },
        },
      },
    ])
  })

  test('of a banned user is done by the administrator, in some rooms, up to a limit and a time', async () => {
    const spammer = await registerUser(url)
    const roomId = await createRoom(admin)
    const apart = await createRoom(spammer)
    await joinRoom(roomId, spammer)
    const eventIds = [await sendText(spammer, roomId, 'one'), await sendText(spammer, roomId, 'two')]
    await admin.post(roomPath(roomId, 'ban'), { user_id: spammer.userId })
    const path = v1(`user/${of(spammer)}/redact`)
    const begin = async (body: object) => (await admin.post(path, { rooms: [roomId], ...body })).redact_id
    await ended(await begin({ after_ts: Date.now() + 60_000 }))
    expect(await contentOf(admin, roomId, eventIds[1]!)).toMatchObject({ body: 'two' })
    await ended(await begin({ limit: 1 }))
    expect(await contentOf(admin, roomId, eventIds[1]!)).toEqual({})
    expect(await contentOf(admin, roomId, eventIds[0]!)).toMatchObject({ body: 'one' })
    await ended(await begin({}))
    expect(await contentOf(admin, roomId, eventIds[0]!)).toEqual({})
    const alone = await sendText(spammer, apart, 'mine')
    const { failed_redactions: failed } = await ended(await begin({ rooms: [apart], use_admin: true }))
    expect(Object.keys(failed)).toContain(alone)
    expect(await outcomeOf(admin, 'GET', v1('user/redact_status/none'))).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(admin, 'POST', path, { rooms: ['x'] })).toEqual([400, 'M_BAD_JSON'])
  })
})

test('registration tokens are created, changed and deleted', async () => {
  const token = uniqueName('token')
  const path = v1(`registration_tokens/${token}`)
  const made = { token, uses_allowed: 2, pending: 0, completed: 0, expiry_time: null }
  expect(await admin.post(v1('registration_tokens/new'), { token, uses_allowed: 2 })).toEqual(made)
  expect(await outcomeOf(admin, 'POST', v1('registration_tokens/new'), { token })).toEqual([400, 'M_INVALID_PARAM'])
  expect(await outcomeOf(admin, 'POST', v1('registration_tokens/new'), { token: 'a b' })).toEqual([
    400,
    'M_INVALID_PARAM',
  ])
  expect((await admin.post(v1('registration_tokens/new'), { length: 5 })).token).toMatch(/^[A-Za-z0-9._~-]{5}$/)
  expect(await admin.get(path)).toEqual(made)
  const expiry_time = Date.now() + 3_600_000
  expect(await admin.put(path, { expiry_time })).toEqual({ ...made, expiry_time })
  const names = async (query: string) => {
    const { registration_tokens: tokens } = await admin.get(v1(`registration_tokens${query}`))
    return tokens.map((each: { token: string }) => each.token)
  }
  expect(await names('?valid=true&from=0')).toContain(token)
  expect(await admin.put(path, { uses_allowed: 0 })).toEqual({ ...made, uses_allowed: 0, expiry_time })
  expect(await names('?valid=true')).not.toContain(token)
  expect(await names('?valid=false')).toContain(token)
  expect(await names('')).toContain(token)
  expect(await outcomeOf(admin, 'PUT', path, { expiry_time: 1 })).toEqual([400, 'M_INVALID_PARAM'])
  expect((await admin.ask('DELETE', path)).body).toEqual({})
  expect(await outcomeOf(admin, 'GET', path)).toEqual([404, 'M_NOT_FOUND'])
  expect(await outcomeOf(admin, 'PUT', path, {})).toEqual([404, 'M_NOT_FOUND'])
  expect(await outcomeOf(admin, 'DELETE', path)).toEqual([404, 'M_NOT_FOUND'])
})

test('facts about the server', async () => {
  const version = await ask(url, { method: 'GET', path: v1('server_version') })
  expect(version.body).toEqual({ server_version: expect.stringMatching(/^Hearth \d+\.\d+/) })
  expect(await admin.get(v1(`username_available?username=${uniqueName()}`))).toEqual({ available: true })
  const taken = admin.userId.slice(1).split(':')[0]
  expect(await outcomeOf(admin, 'GET', v1(`username_available?username=${taken}`))).toEqual([400, 'M_USER_IN_USE'])
  const { rooms } = await admin.get(v1('statistics/database/rooms'))
  for (const room of rooms)
    expect(room).toEqual({ room_id: expect.stringMatching(/^!/), estimated_size: expect.any(Number) })
  expect(await admin.get(v1('background_updates/status'))).toEqual({ enabled: true, current_updates: {} })
  expect(await admin.get(v1('background_updates/enabled'))).toEqual({ enabled: true })
  expect(await outcomeOf(admin, 'POST', v1('background_updates/enabled'), { enabled: false })).toEqual([
    ...[400, 'M_INVALID_PARAM'],
  ])
})

test('all of it is for administrators', async () => {
  const user = await registerUser(url)
  const paths = [
    ...['event_reports', 'event_reports/1', 'user_reports', 'user_reports/1', 'registration_tokens'],
    ...['registration_tokens/x', 'user/redact_status/x', 'username_available?username=x', 'scheduled_tasks'],
    ...['statistics/database/rooms', 'background_updates/status', 'background_updates/enabled'],
  ]
  for (const path of paths)
    expect([path, ...(await outcomeOf(user, 'GET', v1(path)))]).toEqual([path, 403, 'M_FORBIDDEN'])
  const writes: [string, string, object][] = [
    ['POST', `user/${of(user)}/redact`, { rooms: [] }],
    ['POST', 'registration_tokens/new', {}],
    ['DELETE', 'registration_tokens/x', {}],
    ['DELETE', 'event_reports/1', {}],
    ['DELETE', 'user_reports/1', {}],
  ]
  for (const [method, path, body] of writes)
    expect([path, ...(await outcomeOf(user, method, v1(path), body))]).toEqual([path, 403, 'M_FORBIDDEN'])
})
