import { beforeAll, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, deviceKeysOf, registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import { v3 } from '../harness/rooms.ts'
import { setUpTotp } from '../harness/second-factor.ts'

const { url } = inject('homeserver')
const PATH = '/_matrix/client/unstable/hearth/tokens'
const API = 'urn:matrix:client:api:*'
const ADMIN = 'urn:synapse:admin:*'
const PASSWORD = 'correct horse battery'

let alice: TestUser
beforeAll(async () => {
  alice = await registerUser(url)
})

const proof = (user: TestUser, password = PASSWORD) => ({ type: 'm.login.password', user: user.userId, password })
const create = (user: TestUser, body: object) => user.ask('POST', PATH, { name: 'bot', auth: proof(user), ...body })

/** Creates a token, and returns the bot that has it. */
async function botOf(user: TestUser, body: object = {}) {
  const answer = await create(user, body)
  expect(answer.body).toMatchObject({ access_token: expect.stringMatching(/^hearth_personal_/) })
  const { access_token, token_id: tokenId, device_id = '' } = answer.body
  return { ...asUser(url, { user_id: user.userId, device_id, access_token }), tokenId, answer: answer.body }
}

const idsOf = async (user: TestUser) =>
  (await user.get(PATH)).tokens.map(({ token_id }: { token_id: string }) => token_id)
const expectUnknown = async (bot: TestUser) =>
  expect(await bot.ask('GET', `${v3}/account/whoami`)).toMatchObject({
    status: 401,
    body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false },
  })

describe('a personal token', () => {
  test('acts as its user, without a device', async () => {
    const bot = await botOf(alice, { name: ' Weather bot ' })
    expect(bot.answer).toMatchObject({ name: 'Weather bot', scope: API, created_ts: expect.any(Number) })
    expect(await bot.get(`${v3}/account/whoami`)).toEqual({ user_id: alice.userId, is_guest: false })
    const { room_id: roomId } = await bot.post(`${v3}/createRoom`)
    await sendText(bot, roomId, 'sunny')
    expect((await bot.get(`${v3}/sync`)).rooms.join[roomId].timeline.events.at(-1).content.body).toBe('sunny')
    expect((await alice.get(`${v3}/devices`)).devices).toHaveLength(1)
  })

  test('has transactions of its own: another one may use the same ids', async () => {
    const [first, second] = [await botOf(alice), await botOf(alice)]
    const { room_id: roomId } = await alice.post(`${v3}/createRoom`)
    const send = async (bot: TestUser, query = '') =>
      bot.put(`${v3}/rooms/${roomId}/send/m.room.message/1${query}`, { msgtype: 'm.text', body: 'hello' })
    const { event_id: eventId } = await send(first)
    expect((await send(first)).event_id).toBe(eventId)
    expect((await send(second)).event_id).not.toBe(eventId)
    const later = '?org.matrix.msc4140.delay=3000000'
    const { delay_id: delayId } = await send(first, later)
    expect((await send(first, later)).delay_id).toBe(delayId)
    expect((await send(second, later)).delay_id).not.toBe(delayId)
    const redact = async (bot: TestUser) => (await bot.put(`${v3}/rooms/${roomId}/redact/${eventId}/2`, {})).event_id
    const redactionId = await redact(first)
    expect(await redact(first)).toBe(redactionId)
    expect(await redact(second)).not.toBe(redactionId)
    const toDevice = (bot: TestUser, text: string) =>
      bot.put(`${v3}/sendToDevice/org.example.hello/3`, {
        messages: { [alice.userId]: { [alice.deviceId]: { text } } },
      })
    for (const bot of [first, first, second]) await toDevice(bot, bot.tokenId)
    const received = (await alice.get(`${v3}/sync`)).to_device.events.map((event: { content: object }) => event.content)
    expect(received).toEqual([{ text: first.tokenId }, { text: second.tokenId }])
  })

  test('is listed without its secret, with the time of its last use', async () => {
    const bot = await botOf(alice)
    const listed = () =>
      alice.get(PATH).then(({ tokens }) => tokens.find((token: { token_id: string }) => token.token_id === bot.tokenId))
    const { access_token, ...rest } = bot.answer
    expect(await listed()).toEqual(rest)
    expect(JSON.stringify(await alice.get(PATH))).not.toContain(access_token.slice(-10))
    const before = Date.now()
    await bot.get(`${v3}/account/whoami`)
    const used = await pollUntil('the use is noted', async () => (await listed()).last_used_ts)
    expect(used).toBeGreaterThan(before - 60_000)
  })

  test('ends when it is revoked, by its user only', async () => {
    const [bot, other] = [await botOf(alice), await botOf(alice)]
    const mallory = await registerUser(url)
    const missing = await mallory.ask('DELETE', `${PATH}/${bot.tokenId}`)
    expect(missing).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await mallory.ask('DELETE', `${PATH}/none`)).toMatchObject({ status: 404, body: missing.body })
    expect(await idsOf(mallory)).toEqual([])
    expect((await alice.ask('DELETE', `${PATH}/${bot.tokenId}`)).status).toBe(200)
    await expectUnknown(bot)
    expect(await idsOf(alice)).not.toContain(bot.tokenId)
    expect(await idsOf(alice)).toContain(other.tokenId)
    await other.post(`${v3}/logout`)
    await expectUnknown(other)
    expect(await idsOf(alice)).not.toContain(other.tokenId)
  })

  test('leaves the password, the devices and the account alone', async () => {
    const user = await registerUser(url)
    const bot = await botOf(user)
    for (const [method, path] of [
      ['DELETE', `devices/${user.deviceId}`],
      ['POST', 'account/password'],
      ['POST', 'account/deactivate'],
    ] as const) {
      const refused = await bot.ask(method, `${v3}/${path}`, { new_password: 'another password', auth: proof(user) })
      expect(refused, path).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
    }
    await user.get(`${v3}/account/whoami`)
  })

  test('expires', async () => {
    const bot = await botOf(alice, { lifetime_ms: 1 })
    expect(bot.answer.expires_ts).toBe(bot.answer.created_ts + 1)
    const answer = await pollUntil('it has expired', async () => {
      const whoami = await bot.ask('GET', `${v3}/account/whoami`)
      return whoami.status === 401 && whoami
    })
    expect(answer.body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })
    expect(await idsOf(alice)).toContain(bot.tokenId)
  })

  test('may have a device, which ends with it, and passes from one token to the next', async () => {
    const first = await botOf(alice, { name: 'Crypto bot', device_id: 'CRYPTOBOT' })
    expect(await first.get(`${v3}/account/whoami`)).toMatchObject({ device_id: 'CRYPTOBOT' })
    await first.post(`${v3}/keys/upload`, { device_keys: deviceKeysOf(first) })
    const device = await alice.get(`${v3}/devices/CRYPTOBOT`)
    expect(device).toMatchObject({ display_name: 'Crypto bot' })
    const next = await botOf(alice, { device_id: 'CRYPTOBOT' })
    await expectUnknown(first)
    const { device_keys } = await next.post(`${v3}/keys/query`, { device_keys: { [alice.userId]: ['CRYPTOBOT'] } })
    expect(Object.keys(device_keys[alice.userId])).toEqual(['CRYPTOBOT'])
    expect((await alice.ask('DELETE', `${PATH}/${next.tokenId}`)).status).toBe(200)
    await expectUnknown(next)
    expect((await alice.ask('GET', `${v3}/devices/CRYPTOBOT`)).status).toBe(404)
  })

  test('cannot take the device of another session', async () => {
    const refused = await create(alice, { device_id: alice.deviceId })
    expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    const login = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: alice.userId },
      password: PASSWORD,
    }
    const refreshing = { ...login, refresh_token: true, device_id: 'REFRESHING' }
    expect((await ask(url, { method: 'POST', path: `${v3}/login`, body: refreshing })).status).toBe(200)
    expect((await create(alice, { device_id: 'REFRESHING' })).status).toBe(400)
    await alice.get(`${v3}/account/whoami`)
  })
})

describe('creating one', () => {
  test('needs the password', async () => {
    const ids = await idsOf(alice)
    const without = await alice.ask('POST', PATH, { name: 'bot' })
    expect(without).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
    const wrong = await alice.ask('POST', PATH, { name: 'bot', auth: proof(alice, 'wrong') })
    expect(wrong).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN' } })
    const other = await registerUser(url)
    expect((await alice.ask('POST', PATH, { name: 'bot', auth: proof(other) })).status).toBe(403)
    expect(await idsOf(alice)).toEqual(ids)
  })

  test.each([
    ['no name', { name: undefined }, 'M_MISSING_PARAM'],
    ['an empty name', { name: ' ' }, 'M_INVALID_PARAM'],
    ['a long name', { name: 'x'.repeat(256) }, 'M_INVALID_PARAM'],
    ['an unknown scope', { scope: `${API} urn:example:all` }, 'M_INVALID_PARAM'],
    ['no scope for the client API', { scope: '' }, 'M_INVALID_PARAM'],
    ['no time', { lifetime_ms: 0 }, 'M_BAD_JSON'],
    ['too much time', { lifetime_ms: Number.MAX_SAFE_INTEGER }, 'M_INVALID_PARAM'],
    ['a device id of 256 bytes', { device_id: 'x'.repeat(256) }, 'M_INVALID_PARAM'],
  ])('fails with %s', async (_, body, errcode) => {
    const ids = await idsOf(alice)
    expect(await create(alice, body)).toMatchObject({ status: 400, body: { errcode } })
    expect(await idsOf(alice)).toEqual(ids)
  })

  test('is left to the account page for an account with a second factor', async () => {
    const user = await registerUser(url)
    const visitor = newVisitor(url)
    await signIn(visitor, user)
    await setUpTotp(visitor)
    const refused = await create(user, {})
    expect(refused).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(refused.body.error).toContain('/account/tokens')
    const page = await visitor.submit(await visitor.open('/account/tokens'), { name: 'bot' }, { do: 'create' })
    expect(page.title).toBe('Your new token')
  })

  test('is not repeated, because the secret is not kept', async () => {
    const user = await registerUser(url)
    const { session } = (await user.ask('POST', PATH, { name: 'bot' })).body
    const finish = () => user.ask('POST', PATH, { name: 'bot', auth: { ...proof(user), session } })
    expect((await finish()).status).toBe(200)
    const again = await finish()
    expect(again).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(await idsOf(user)).toHaveLength(1)
  })

  test('fails for a guest', async () => {
    const guest = await ask(url, { method: 'POST', path: `${v3}/register?kind=guest`, body: {} })
    if (guest.status !== 200) return expect(guest.status).toBe(403)
    expect((await asUser(url, guest.body).ask('POST', PATH, { name: 'bot' })).status).toBe(403)
  })
})

describe('the rights of an administrator', () => {
  const noticeTo = (user: TestUser) => ({ user_id: user.userId, content: { msgtype: 'm.text', body: 'hello' } })
  const notify = (bot: TestUser) => bot.ask('POST', '/_synapse/admin/v1/send_server_notice', noticeTo(alice))

  test('need their scope', async () => {
    const admin = await registerAdmin(url)
    const plain = await botOf(admin)
    expect(await notify(plain)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const full = await botOf(admin, { scope: `${API} ${ADMIN}` })
    expect((await notify(full)).status).toBe(200)
  })

  test('are not for a token without them, although it knows the password', async () => {
    const bot = await botOf(await registerAdmin(url))
    expect(await create(bot, { scope: `${API} ${ADMIN}` })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
  })

  test('to redact need their scope too, also for events that are scheduled', async () => {
    const admin = await registerAdmin(url)
    const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat' })
    await admin.post(`${v3}/join/${roomId}`)
    const redacts = await sendText(alice, roomId, 'hello')
    const delayed = '/_matrix/client/unstable/org.matrix.msc4140'
    const content = { redacts }
    let txn = 0
    const redact = async (user: TestUser, form: 'own' | 'send') => {
      const { delay_id: delayId } =
        form === 'own'
          ? await user.put(`${delayed}/rooms/${roomId}/delayed_event/m.room.redaction/${++txn}`, {
              delay_ms: 3e6,
              content,
            })
          : await user.put(
              `${v3}/rooms/${roomId}/send/m.room.redaction/${++txn}?org.matrix.msc4140.delay=3000000`,
              content,
            )
      return ask(url, { method: 'POST', path: `${delayed}/delayed_events/${delayId}/send`, body: {} })
    }
    const plain = await botOf(admin)
    const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    for (const form of ['own', 'send'] as const) expect(await redact(plain, form)).toMatchObject(forbidden)
    const full = await botOf(admin, { scope: `${API} ${ADMIN}` })
    for (const form of ['own', 'send'] as const) expect((await redact(full, form)).status).toBe(200)
    expect((await alice.get(`${v3}/rooms/${roomId}/event/${redacts}`)).content).toEqual({})
  })

  test('are for administrators only', async () => {
    const refused = await create(alice, { scope: `${API} ${ADMIN}` })
    expect(refused).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })
})

describe('all personal tokens of a user end', () => {
  async function withBots() {
    const user = await registerUser(url)
    return { user, bots: [await botOf(user), await botOf(user, { device_id: 'BOT' })] }
  }

  test('when all sessions end', async () => {
    const { user, bots } = await withBots()
    await user.post(`${v3}/logout/all`)
    for (const bot of bots) await expectUnknown(bot)
  })

  test('when the password changes, unless sessions stay', async () => {
    const { user, bots } = await withBots()
    const change = (new_password: string, old: string, logout_devices: boolean) =>
      user.post(`${v3}/account/password`, { new_password, logout_devices, auth: proof(user, old) })
    await change('another password', PASSWORD, false)
    for (const bot of bots) await bot.get(`${v3}/account/whoami`)
    await change('a third password', 'another password', true)
    for (const bot of bots) await expectUnknown(bot)
    expect(await idsOf(user)).toEqual([])
  })

  test('when the account is deactivated', async () => {
    const { user, bots } = await withBots()
    await user.post(`${v3}/account/deactivate`, { auth: proof(user) })
    for (const bot of bots) await expectUnknown(bot)
  })

  test('and rest while it is locked', async () => {
    const { user, bots } = await withBots()
    const admin = await registerAdmin(url)
    const lock = (locked: boolean) => admin.put(`/_matrix/client/v1/admin/lock/${user.userId}`, { locked })
    await lock(true)
    for (const bot of bots)
      expect(await bot.ask('GET', `${v3}/account/whoami`)).toMatchObject({
        status: 401,
        body: { errcode: 'M_USER_LOCKED' },
      })
    await lock(false)
    for (const bot of bots) await bot.get(`${v3}/account/whoami`)
  })
})
