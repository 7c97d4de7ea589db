import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startAppservice, type TestAppservice } from '../harness/appservice.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

/** Transactions to application services. https://spec.matrix.org/v1.19/application-service-api/#pushing-events */
const v3 = '/_matrix/client/v3'
const BOT = '@_irc_bot:hearth.test'

let hearth: TestHearth
let irc: TestAppservice
let archive: TestAppservice
let alice: TestUser
let bob: TestUser

beforeAll(async () => {
  irc = await startAppservice('irc', { receive_ephemeral: true, 'org.matrix.msc3202': true })
  archive = await startAppservice('archive', {
    namespaces: { users: [], aliases: [{ exclusive: false, regex: '#public_' }], rooms: [{ regex: '!never:' }] },
  })
  const config = { appservices: [irc.registrationFile, archive.registrationFile] }
  hearth = await startHearth({ config })
  ;[alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
})
afterAll(async () => {
  await hearth?.dispose()
  await irc?.dispose()
  await archive?.dispose()
})

const inRoom = (roomId: string, rest: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${rest}`
const as = (user: string, method: string, path: string, body?: unknown) =>
  irc.ask(hearth.url, { method, path, body, as: user })

let made = 0
async function newGhost(): Promise<string> {
  const username = `_irc_ghost${++made}`
  const body = { type: 'm.login.application_service', username, inhibit_login: true }
  await irc.ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })
  return `@${username}:hearth.test`
}

/** Creates a room of Alice with other users. */
async function newRoom(options: object = {}, ...ghosts: string[]): Promise<string> {
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat', ...options })
  for (const ghost of ghosts) expect((await as(ghost, 'POST', inRoom(roomId, 'join'))).status).toBe(200)
  return roomId
}

const told = (appservice: TestAppservice, eventId: string) =>
  pollUntil(`${appservice.id} is told of ${eventId}`, () =>
    appservice.events().find(({ event_id }) => event_id === eventId),
  )

/** Some application services parse them as numbers, which Synapse's are. */
test('the ids of transactions are numbers that grow', async () => {
  const roomId = await newRoom({}, await newGhost())
  for (const body of ['one', 'two', 'three']) await told(irc, await sendText(alice, roomId, body))
  const ids = [...irc.transactions.keys()]
  expect(ids.length).toBeGreaterThan(2)
  for (const id of ids) expect(id).toMatch(/^[1-9][0-9]{0,15}$/)
  expect(ids.map(Number)).toEqual(ids.map(Number).sort((a, b) => a - b))
  expect(new Set(ids).size).toBe(ids.length)
})

describe('events', () => {
  test('are sent while one of its users is in the room, and no others', async () => {
    const ghost = await newGhost()
    const roomId = await newRoom()
    const before = await sendText(alice, roomId, 'before')
    expect((await as(ghost, 'POST', inRoom(roomId, 'join'))).status).toBe(200)
    const within = await sendText(alice, roomId, 'within')
    expect((await as(ghost, 'POST', inRoom(roomId, 'leave'))).status).toBe(200)
    const after = await sendText(alice, roomId, 'after')
    const elsewhere = await newRoom({}, ghost)
    const last = await sendText(alice, elsewhere, 'last')
    expect(await told(irc, last)).toMatchObject({
      type: 'm.room.message',
      content: { body: 'last' },
      sender: alice.userId,
    })
    const ofRoom = irc.events().filter(({ room_id }) => room_id === roomId)
    const names = ofRoom.map(({ type, event_id, content }) =>
      type === 'm.room.member' ? content.membership : event_id,
    )
    expect(names).toEqual(['join', within, 'leave'])
    expect(irc.events().map(({ event_id }) => event_id)).not.toEqual(expect.arrayContaining([before]))
    expect(irc.events().map(({ event_id }) => event_id)).not.toEqual(expect.arrayContaining([after]))
    expect(archive.events().filter(({ room_id }) => room_id === roomId)).toEqual([])
    expect(irc.calls.every(({ token, query }) => token === irc.hsToken && !query.has('access_token'))).toBe(true)
  })

  test('of rooms with an alias in its namespace are sent', async () => {
    const roomId = await newRoom()
    const name = `public_${++made}`
    await alice.put(`${v3}/directory/room/${encodeURIComponent(`#${name}:hearth.test`)}`, { room_id: roomId })
    const eventId = await sendText(alice, roomId, 'hear, hear')
    expect((await told(archive, eventId)).room_id).toBe(roomId)
    await alice.ask('DELETE', `${v3}/directory/room/${encodeURIComponent(`#${name}:hearth.test`)}`)
    const unheard = await sendText(alice, roomId, 'psst')
    const other = await newRoom({ room_alias_name: `public_${++made}` })
    await told(archive, await sendText(alice, other, 'last'))
    expect(archive.events().map(({ event_id }) => event_id)).not.toContain(unheard)
  })

  test('that invite a user in its namespace include stripped state; an unknown user is queried first', async () => {
    const name = `_irc_unknown${++made}`
    const unknown = `@${name}:hearth.test`
    irc.respond = async ({ path }) => {
      if (!path.includes('_irc_unknown')) return { status: 404 }
      const body = { type: 'm.login.application_service', username: name, inhibit_login: true }
      return { status: (await irc.ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })).status }
    }
    const roomId = await newRoom({ name: 'Tea', preset: 'private_chat' })
    await alice.post(inRoom(roomId, 'invite'), { user_id: unknown })
    const invite = await pollUntil('the invite is told', () =>
      irc.events().find(({ room_id, state_key }) => room_id === roomId && state_key === unknown),
    )
    const types = invite.unsigned.invite_room_state.map(({ type }: { type: string }) => type)
    expect(types).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.member']))
    const asked = irc.calls.map(({ method, path }) => `${method} ${decodeURIComponent(path)}`)
    expect(asked).toContain(`GET /_matrix/app/v1/users/${unknown}`)
    expect((await as(unknown, 'POST', inRoom(roomId, 'join'))).status).toBe(200)
  })

  test('come in order, after the application service was away, with nothing lost', async () => {
    const roomId = await newRoom({}, BOT)
    await told(irc, await sendText(alice, roomId, '0'))
    irc.answerTransactions = 500
    const sent = [await sendText(alice, roomId, '1')]
    const isTried = () =>
      irc.calls.at(-1)?.body?.events?.some((event: { event_id: string }) => event.event_id === sent[0])
    await pollUntil('it is tried', isTried)
    await irc.stop()
    for (let i = 2; i < 130; i++) sent.push(await sendText(alice, roomId, String(i)))
    irc.answerTransactions = 200
    await irc.start()
    // A request of an application service ends its back-off.
    await irc.ask(hearth.url, { method: 'GET', path: `${v3}/account/whoami` })
    await told(irc, sent.at(-1)!)
    const received = irc.events().filter(({ event_id }) => sent.includes(event_id))
    expect(received.map(({ event_id }) => event_id)).toEqual(sent)
    expect([...irc.transactions.values()].every(({ events }) => events.length <= 100)).toBe(true)
  })
})

/** https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data */
describe('ephemeral data', () => {
  const find = (what: string, matches: (event: Record<string, unknown>) => boolean) =>
    pollUntil(what, () => irc.under('ephemeral').find(matches))

  test('gets rooms with one of its users', async () => {
    const ghost = await newGhost()
    const roomId = await newRoom({}, ghost)
    const deaf = await newRoom()
    const eventId = await sendText(alice, roomId, 'read me')
    for (const room of [deaf, roomId])
      await alice.put(inRoom(room, `typing/${encodeURIComponent(alice.userId)}`), { typing: true, timeout: 30_000 })
    await find(
      'that Alice types',
      ({ type, room_id, content }) =>
        JSON.stringify([type, room_id, content]) === JSON.stringify(['m.typing', roomId, { user_ids: [alice.userId] }]),
    )
    await bob.post(inRoom(roomId, 'join'))
    await bob.post(inRoom(roomId, `receipt/m.read.private/${encodeURIComponent(eventId)}`), {})
    await bob.post(inRoom(roomId, `receipt/m.read/${encodeURIComponent(eventId)}`), {})
    const receipt = await find('that Bob has read', ({ type, room_id }) => type === 'm.receipt' && room_id === roomId)
    expect(receipt.content).toEqual({ [eventId]: { 'm.read': { [bob.userId]: { ts: expect.any(Number) } } } })
    await as(ghost, 'POST', inRoom(roomId, `receipt/m.read.private/${encodeURIComponent(eventId)}`), {})
    await find('what its own user has read', ({ content }) =>
      JSON.stringify(content).includes(`{"m.read.private":{"${ghost}"`),
    )
    await alice.put(`${v3}/presence/${encodeURIComponent(alice.userId)}/status`, { presence: 'unavailable' })
    await find('where Alice is', ({ type, sender }) => type === 'm.presence' && sender === alice.userId)
    expect(irc.under('ephemeral').filter(({ room_id }) => room_id === deaf)).toEqual([])
    expect([...archive.transactions.values()].every((body) => body.ephemeral === undefined)).toBe(true)
  })
})

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3202 and
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4203
 */
describe('encryption', () => {
  const deviceOf = (user: string, seed: string) => ({
    user_id: user,
    device_id: 'D',
    algorithms: ['m.olm.v1.curve25519-aes-sha2'],
    keys: { 'ed25519:D': seed.repeat(43), 'curve25519:D': seed.repeat(43) },
    signatures: { [user]: { 'ed25519:D': 'signature' } },
  })

  test('messages to devices come with the keys that are left, once', async () => {
    const ghost = await newGhost()
    await as(ghost, 'PUT', `${v3}/devices/D`, {})
    const signatures = { [ghost]: { 'ed25519:D': 'signature' } }
    const oneTimeKeys = { 'signed_curve25519:1': { key: 'k', signatures } }
    const upload = { device_keys: deviceOf(ghost, 'A'), one_time_keys: oneTimeKeys }
    const uploaded = await irc.ask(hearth.url, {
      method: 'POST',
      path: `${v3}/keys/upload`,
      as: ghost,
      device: 'D',
      body: upload,
    })
    expect(uploaded.status).toBe(200)
    const counts = () => irc.under('org.matrix.msc3202.device_one_time_keys_count').findLast((each) => each[ghost])
    await pollUntil('it is told of its keys', () => counts()?.[ghost].D.signed_curve25519 === 1)
    await alice.post(`${v3}/keys/claim`, { one_time_keys: { [ghost]: { D: 'signed_curve25519' } } })
    await pollUntil('it is told that one is gone', () => counts()?.[ghost].D.signed_curve25519 === 0)
    const content = { body: 'secret' }
    for (const n of [1, 2])
      await alice.put(`${v3}/sendToDevice/org.example.type/t${++made}`, {
        messages: { [ghost]: { D: { ...content, n } }, [alice.userId]: { '*': { n } } },
      })
    const messages = () => irc.under('de.sorunome.msc2409.to_device')
    await pollUntil('it has both', () => messages().length >= 2)
    const [first] = messages()
    const to = { to_user_id: ghost, to_device_id: 'D', sender: alice.userId, type: 'org.example.type' }
    expect(first).toEqual({ ...to, content: { ...content, n: 1 } })
    expect(messages().map((each) => each.content.n)).toEqual([1, 2])
    const sync = await irc.ask(hearth.url, { method: 'GET', path: `${v3}/sync`, as: ghost, device: 'D' })
    expect(sync.body.to_device).toBeUndefined()
  })

  test('device changes of users who share a room are sent, and users who leave', async () => {
    const ghost = await newGhost()
    const carol = await registerUser(hearth.url)
    const roomId = await newRoom({}, ghost)
    const lists = (which: 'changed' | 'left') =>
      [...irc.transactions.values()].flatMap((body) => body['org.matrix.msc3202.device_lists']?.[which] ?? [])
    await carol.post(`${v3}/keys/upload`, {
      device_keys: { ...deviceOf(carol.userId, 'C'), device_id: carol.deviceId },
    })
    await carol.post(inRoom(roomId, 'join'))
    await pollUntil('Carol is met', () => lists('changed').includes(carol.userId))
    const known = lists('changed').filter((user) => user === carol.userId).length
    await carol.put(`${v3}/devices/${carol.deviceId}`, { display_name: 'Another name' })
    await pollUntil(
      'her devices changed',
      () => lists('changed').filter((user) => user === carol.userId).length > known,
    )
    await carol.post(inRoom(roomId, 'leave'))
    await pollUntil('Carol has left', () => lists('left').includes(carol.userId))
    const dora = await registerUser(hearth.url)
    const away = await dora.post(`${v3}/createRoom`, { preset: 'public_chat' })
    await as(ghost, 'POST', inRoom(away.room_id, 'join'))
    await pollUntil('Dora is met', () => lists('changed').includes(dora.userId))
    await as(ghost, 'POST', inRoom(away.room_id, 'leave'))
    await pollUntil('Dora has been left', () => lists('left').includes(dora.userId))
  })
})
