import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

type Api = Awaited<ReturnType<typeof startClientApi>>
let api: Api
let alice: TestClient
let bob: TestClient
let roomId: string
beforeAll(async () => {
  api = await startClientApi()
  ;[alice, bob] = [await api.client('alice', { deviceId: 'A' }), await api.client('bob')]
  roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/rooms/${roomId}/join`, {})
})
afterAll(() => api.close())

let txns = 0
const path = (type = 'm.room.message', txnId = `t${++txns}`, room = roomId) => `/rooms/${room}/send/${type}/${txnId}`
const text = (body: string) => ({ msgtype: 'm.text', body })
const send = async (user: TestClient, content: object, type?: string) =>
  (await user.ok('PUT', path(type), content)).event_id as string
const stored = async (eventId: string) => (await loadEventsById(api.app.database, [eventId as EventId]))[0]!
const errcode = async (request: Promise<{ status: number; body: { errcode?: string } }>) => {
  const { status, body } = await request
  return [status, body.errcode]
}

describe('transactions', () => {
  test('a repeated request gets the same event, whatever it contains', async () => {
    const first = await alice.ok('PUT', path('m.room.message', 'again'), text('first'))
    const before = await api.counts()
    expect(await alice.ok('PUT', path('m.room.message', 'again'), text('second'))).toEqual(first)
    expect(await api.counts()).toEqual(before)
    expect((await stored(first.event_id)).pdu.content.body).toBe('first')
  })

  test('twenty at once are one event', async () => {
    const before = await api.counts()
    const same = path()
    const answers = await Promise.all(Array.from({ length: 20 }, () => alice.ok('PUT', same, text('once'))))
    expect(new Set(answers.map(({ event_id }) => event_id)).size).toBe(1)
    expect((await api.counts()).events - before.events).toBe(1)
  })

  test('twenty at once to two processes, beside others, are one event', async () => {
    const other = await startClientApi({ database: api.app.database })
    const elsewhere = await other.client('alice', { deviceId: 'A' })
    const before = await api.counts()
    const same = path()
    const repeated = Array.from({ length: 20 }, (_, number) =>
      (number % 2 ? alice : elsewhere).ok('PUT', same, text('once')),
    )
    const others = Array.from({ length: 20 }, (_, number) =>
      (number % 2 ? alice : elsewhere).ok('PUT', path(), text(`other ${number}`)),
    )
    const ids = (await Promise.all([...repeated, ...others])).map(({ event_id }) => event_id)
    expect(new Set(ids.slice(0, 20)).size).toBe(1)
    expect(new Set(ids).size).toBe(21)
    expect((await api.counts()).events - before.events).toBe(21)
    await other.close()
  })

  test('are remembered over a restart, even by who has left since', async () => {
    const dora = await api.client('dora', { deviceId: 'D' })
    await dora.ok('POST', `/rooms/${roomId}/join`, {})
    const first = await dora.ok('PUT', path('m.room.message', 'before'), text('x'))
    await dora.ok('POST', `/rooms/${roomId}/leave`, {})
    const restarted = await startClientApi({ database: api.app.database })
    const after = await restarted.client('dora', { deviceId: 'D' })
    expect(await after.ok('PUT', path('m.room.message', 'before'), text('x'))).toEqual(first)
    await restarted.close()
  })

  test('of a reaction are remembered too', async () => {
    const target = (await alice.ok('PUT', path(), text('react'))).event_id
    const content = { 'm.relates_to': { rel_type: 'm.annotation', event_id: target, key: '!' } }
    const first = await alice.ok('PUT', path('m.reaction', 'react'), content)
    const restarted = await startClientApi({ database: api.app.database })
    const after = await restarted.client('alice', { deviceId: 'A' })
    expect(await after.ok('PUT', path('m.reaction', 'react'), content)).toEqual(first)
    await restarted.close()
  })

  test('belong to a device, a room and a type', async () => {
    const otherDevice = await api.client('alice', { deviceId: 'B' })
    const otherRoom = await alice.createRoom()
    const ids = [
      await alice.ok('PUT', path('m.room.message', 'same'), text('x')),
      await alice.ok('PUT', path('org.example', 'same'), text('x')),
      await alice.ok('PUT', path('m.room.message', 'same', otherRoom), text('x')),
      await otherDevice.ok('PUT', path('m.room.message', 'same'), text('x')),
      await bob.ok('PUT', path('m.room.message', 'same'), text('x')),
    ].map(({ event_id }) => event_id)
    expect(new Set(ids).size).toBe(5)
    const event = await stored(ids[0])
    expect([event.txn_device_id, event.txn_id]).toEqual(['A', 'same'])
  })

  test('one that failed may be tried again', async () => {
    const eve = await api.client('eve')
    const same = path()
    expect(await errcode(eve.ask('PUT', same, text('x')))).toEqual([403, 'M_FORBIDDEN'])
    await eve.ok('POST', `/rooms/${roomId}/join`, {})
    expect((await eve.ok('PUT', same, text('x'))).event_id).toMatch(/^\$/)
  })
})

describe('refused', () => {
  const MESSAGE = '/rooms/{}/send/m.room.message/refused'
  const eight = 'x'.repeat(256)
  test.each([
    ['not JSON', MESSAGE, '{', 400, 'M_NOT_JSON'],
    ['infinity', MESSAGE, '{"body":Infinity}', 400, 'M_NOT_JSON'],
    ['no object', MESSAGE, '[]', 400, 'M_BAD_JSON'],
    ['a float', MESSAGE, '{"body":1.1}', 400, 'M_BAD_JSON'],
    ['an integer too large', MESSAGE, '{"body":9007199254740992}', 400, 'M_BAD_JSON'],
    ['half a character', MESSAGE, '{"body":"\\ud800"}', 400, 'M_BAD_JSON'],
    ['deep nesting', MESSAGE, `{"a":${'['.repeat(600)}${']'.repeat(600)}}`, 400, 'M_BAD_JSON'],
    ['too much', MESSAGE, JSON.stringify(text('x'.repeat(70_000))), 413, 'M_TOO_LARGE'],
    ['a long type', `/rooms/{}/send/${eight}/1`, '{}', 413, 'M_TOO_LARGE'],
    ['NUL in the type', '/rooms/{}/send/a%00b/1', '{}', 400, 'M_BAD_JSON'],
    ['NUL in the transaction', '/rooms/{}/send/a/b%00', '{}', 400, 'M_INVALID_PARAM'],
    ['a long transaction', `/rooms/{}/send/a/${eight}`, '{}', 400, 'M_INVALID_PARAM'],
    ['an unknown room', '/rooms/!no:hearth.test/send/a/b', '{}', 403, 'M_FORBIDDEN'],
    ['a redaction of nothing', '/rooms/{}/send/m.room.redaction/b', '{}', 400, 'M_BAD_JSON'],
    [
      'state that is too large',
      '/rooms/{}/state/org.example',
      JSON.stringify({ a: 'x'.repeat(70_000) }),
      413,
      'M_TOO_LARGE',
    ],
    ['NUL in the state key', '/rooms/{}/state/org.example/%00', '{}', 400, 'M_BAD_JSON'],
    ['another create event', '/rooms/{}/state/m.room.create', '{}', 400, 'M_BAD_JSON'],
    ['a create event for an unknown room', '/rooms/!no:hearth.test/state/m.room.create', '{}', 403, 'M_FORBIDDEN'],
    ["another user's state", '/rooms/{}/state/org.example/@bob:hearth.test', '{}', 403, 'M_FORBIDDEN'],
    [
      'the creator among the levels',
      '/rooms/{}/state/m.room.power_levels',
      '{"users":{"@alice:hearth.test":100}}',
      400,
      'M_BAD_JSON',
    ],
    ['levels that are none', '/rooms/{}/state/m.room.power_levels', '{"ban":"50"}', 400, 'M_BAD_JSON'],
  ])('%s', async (_, where, body, status, code) => {
    const before = await api.counts()
    const target = where.replace('{}', roomId)
    expect(await errcode(alice.ask('PUT', target, body))).toEqual([status, code])
    expect(await api.counts()).toEqual(before)
  })

  test('by power', async () => {
    const denied = bob.ask('PUT', `/rooms/${roomId}/state/m.room.power_levels`, { users: {} })
    expect(await errcode(denied)).toEqual([403, 'M_FORBIDDEN'])
    expect(await errcode(bob.ask('PUT', `/rooms/${roomId}/state/m.room.name`, { name: 'x' }))).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })

  test('from suspended users', async () => {
    const eve = await api.client('suspended')
    await eve.ok('POST', `/rooms/${roomId}/join`, {})
    const own = await send(eve, text('mine'))
    const others = await send(alice, text('hers'))
    const suspended = await api.client('suspended', { suspended: true })
    expect(await errcode(suspended.ask('PUT', path(), text('x')))).toEqual([403, 'M_USER_SUSPENDED'])
    expect(await errcode(suspended.ask('PUT', `/rooms/${roomId}/redact/${others}/1`, {}))).toEqual([
      403,
      'M_USER_SUSPENDED',
    ])
    expect((await suspended.ask('PUT', `/rooms/${roomId}/redact/${own}/2`, {})).status).toBe(200)
  })
})

test('names of text that PostgreSQL has no place for are kept in the event', async () => {
  const content = { name: 'a\0b', 'm.relates_to': { rel_type: 'x\0', event_id: '$a\0' } }
  const { event_id } = await alice.ok('PUT', `/rooms/${roomId}/state/m.room.name`, content)
  expect((await stored(event_id)).pdu.content).toEqual(content)
})

describe('state', () => {
  const state = (type: string, key: string, content: object, user = alice) =>
    user.ok('PUT', `/rooms/${roomId}/state/${type}/${encodeURIComponent(key)}`, content)

  test('the same again is the same event; from another, or after a change, it is not', async () => {
    const first = await state('org.test', '', { a: { b: [1] }, c: 2 })
    expect(await state('org.test', '', { c: 2, a: { b: [1] } })).toEqual(first)
    await alice.ok('PUT', `/rooms/${roomId}/state/m.room.power_levels`, { events: { 'org.test': 0 } })
    expect(await state('org.test', '', { a: { b: [1] }, c: 2 }, bob)).not.toEqual(first)
    await state('org.test', '', {})
    expect(await state('org.test', '', { a: { b: [1] }, c: 2 })).not.toEqual(first)
  })

  test('with and without state key, and with any characters in it', async () => {
    await alice.ok('PUT', `/rooms/${roomId}/state/org.a`, { n: 1 })
    await alice.ok('PUT', `/rooms/${roomId}/state/org.b/`, { n: 2 })
    await state('org.c', 'a/b c%#ü', { n: 3 })
    const now = await api.state(roomId as never)
    expect([now['org.a|'], now['org.b|'], now['org.c|a/b c%#ü']]).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })
})

describe.each(['1', '6', '10', '11', '12'])('redactions in version %s', (room_version) => {
  test('empty the event, by either endpoint', async () => {
    const room = await alice.createRoom({ room_version, preset: 'public_chat' })
    await bob.ok('POST', `/rooms/${room}/join`, {})
    const message = async (user: TestClient) =>
      (await user.ok('PUT', path('m.room.message', undefined, room), text('x'))).event_id
    const [own, viaSend, others] = [await message(bob), await message(bob), await message(alice)]
    const redact = (user: TestClient, eventId: string, txn: string) =>
      user.ask('PUT', `/rooms/${room}/redact/${encodeURIComponent(eventId)}/${txn}`, { reason: 'oops' })
    const { body } = await redact(bob, own, '1')
    const redacted = await stored(own)
    expect([redacted.pdu.content, redacted.redacted_by]).toEqual([{}, body.event_id])
    const redaction = await stored(body.event_id)
    const inContent = Number(room_version) >= 11
    expect(redaction.pdu.redacts).toBe(inContent ? undefined : own)
    expect(redaction.pdu.content).toEqual({ reason: 'oops', ...(inContent && { redacts: own }) })
    // A retry, and another redaction under the same transaction ID, whose path differs.
    expect((await redact(bob, own, '1')).body).toEqual(body)
    const content = { redacts: viaSend, reason: 'too' }
    const sent = await bob.ok('PUT', path('m.room.redaction', 's', room), content)
    expect((await stored(viaSend)).redacted_by).toBe(sent.event_id)
    expect((await stored(sent.event_id)).pdu.content).toEqual({ reason: 'too', ...(inContent && { redacts: viaSend }) })
    expect(await errcode(redact(bob, others, '1'))).toEqual([403, 'M_FORBIDDEN'])
    expect((await stored(others)).redacted_by).toBeNull()
    const third = await message(bob)
    await redact(bob, third, '1')
    expect((await stored(third)).pdu.content).toEqual({})
    expect((await redact(alice, await message(bob), '1')).status).toBe(200)
    const create = await api.app.database.sql
      .selectFrom('events')
      .select('event_id')
      .where('room_id', '=', room)
      .where('type', '=', 'm.room.create')
      .executeTakeFirstOrThrow()
    expect(await errcode(redact(alice, create.event_id, '2'))).toEqual([403, 'M_FORBIDDEN'])
  })

  test('administrators of the server may empty what its users sent', async () => {
    const admin = await api.client('admin', { admin: true })
    const room = await alice.createRoom({ room_version, preset: 'public_chat' })
    const { event_id } = await alice.ok('PUT', path('m.room.message', undefined, room), text('x'))
    await admin.ok('POST', `/rooms/${room}/join`, {})
    await admin.ok('PUT', `/rooms/${room}/redact/${encodeURIComponent(event_id)}/1`, {})
    expect((await stored(event_id)).pdu.content).toEqual({})
  })
})

describe('relations', () => {
  const relation = (rel_type: string, event_id: string, key?: string) => ({
    'm.relates_to': { rel_type, event_id, key },
  })
  const react = (user: TestClient, eventId: string, key: string) =>
    user.ask('PUT', path('m.reaction'), relation('m.annotation', eventId, key))

  test('a reaction is given once, until it is taken back', async () => {
    const target = await send(alice, text('react to me'))
    const first = await react(bob, target, '👍')
    expect(first.status).toBe(200)
    expect(await errcode(react(bob, target, '👍'))).toEqual([400, 'M_DUPLICATE_ANNOTATION'])
    expect((await react(bob, target, '👎')).status).toBe(200)
    expect((await react(alice, target, '👍')).status).toBe(200)
    await bob.ok('PUT', `/rooms/${roomId}/redact/${first.body.event_id}/${++txns}`, {})
    expect((await react(bob, target, '👍')).status).toBe(200)
  })

  test('of two equal reactions at once one is refused', async () => {
    const target = await send(alice, text('react to me'))
    const answers = await Promise.all([react(bob, target, '👍'), react(bob, target, '👍')])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  test('a thread starts at no event that is related to another', async () => {
    const root = await send(alice, text('root'))
    const reply = await send(alice, { ...text('reply'), ...relation('m.thread', root) })
    const nested = alice.ask('PUT', path(), { ...text('nested'), ...relation('m.thread', reply) })
    expect(await errcode(nested)).toEqual([400, 'M_UNKNOWN'])
  })
})
