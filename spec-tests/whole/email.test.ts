import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import {
  API_SCOPE,
  authorization,
  exchange,
  loginScope,
  registerClient,
  replyOf,
  signInByOAuth,
} from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

/** Mails of two processes on one database, accepted by a real SMTP server. */
const v3 = '/_matrix/client/v3'
const inRoom = (roomId: string, rest: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${rest}`
const DELAY_MS = 400

let postgres: TestPostgres
let mails: MailServer
let hearths: TestHearth[]
let url: string
beforeAll(async () => {
  ;[postgres, mails] = await Promise.all([startPostgres(), startMailServer()])
  const email = {
    smtp_url: mails.url,
    from: 'Hearth <hearth@hearth.test>',
    require_tls: false,
    client_url: 'https://app.example.org/',
    digest_delay: `${DELAY_MS}ms`,
  }
  const databaseUrl = await postgres.createDatabase()
  hearths = [await startHearth({ databaseUrl, config: { email } })]
  hearths.push(await startHearth({ databaseUrl, config: { email, public_base_url: hearths[0]!.url } }))
  url = hearths[0]!.url
})
afterAll(async () => {
  await Promise.all((hearths ?? []).map((hearth) => hearth.dispose()))
  await mails?.stop()
  await postgres?.stop()
})

const mailsTo = (address: string, count: number) =>
  pollUntil(`${count} mails arrive`, () => mails.to(address).length >= count && mails.to(address))
const linkIn = (text: string | undefined) => /http:\/\/\S+/.exec(text ?? '')![0]

async function requestToken(user: TestUser, email: string, attempt = 1) {
  const body = { email, client_secret: 'secret', send_attempt: attempt }
  return user.ask('POST', `${v3}/account/3pid/email/requestToken`, body)
}

const addAddress = (user: TestUser, sid: string) =>
  user.ask('POST', `${v3}/account/3pid/add`, {
    sid,
    client_secret: 'secret',
    auth: { type: 'm.login.password', user: user.userId, password: 'correct horse battery' },
  })

async function newUser(): Promise<{ user: TestUser; address: string }> {
  return { user: await registerUser(url), address: `${uniqueName()}@example.org` }
}

/** Creates a user with a verified address. */
async function withAddress(): Promise<{ user: TestUser; address: string }> {
  const { user, address } = await newUser()
  const { sid } = (await requestToken(user, address)).body
  const [mail] = await mailsTo(address, 1)
  await fetch(linkIn(mail!.text), { method: 'POST' })
  expect((await addAddress(user, sid)).status).toBe(200)
  mails.received.splice(mails.received.indexOf(mail!), 1)
  return { user, address }
}

/** Creates Bob, who gets mail, in a room with Alice. */
async function withPusher() {
  const { user: bob, address } = await withAddress()
  const alice = await registerUser(url)
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat', name: 'Tea & cake' })
  await bob.post(inRoom(roomId, 'join'))
  const pusher = {
    app_id: 'm.email',
    pushkey: address.toUpperCase(),
    kind: 'email',
    app_display_name: 'Email Notifications',
    device_display_name: address,
    lang: 'en',
    data: { brand: 'Teapot' },
  }
  await bob.post(`${v3}/pushers/set`, pusher)
  return { alice, bob, address, roomId: roomId as string }
}

const pushersOf = async (user: TestUser) => (await user.get(`${v3}/pushers`)).pushers

/** https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information */
describe('addresses', () => {
  test('are proven by a link, then added, listed and removed', async () => {
    const user = await registerUser(url)
    const address = `${uniqueName()}@example.org`
    const { sid } = (await requestToken(user, ` ${address.toUpperCase()} `)).body
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe(`Add your address to ${user.userId}`)
    expect((await addAddress(user, sid)).body.errcode).toBe('M_THREEPID_AUTH_FAILED')

    const page = await fetch(linkIn(mail!.text))
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect((await addAddress(user, sid)).body.errcode).toBe('M_THREEPID_AUTH_FAILED')
    expect((await fetch(linkIn(mail!.text), { method: 'POST' })).status).toBe(200)
    expect((await addAddress(user, sid)).status).toBe(200)
    const listed = { medium: 'email', address, validated_at: expect.any(Number), added_at: expect.any(Number) }
    expect((await user.get(`${v3}/account/3pid`)).threepids).toEqual([listed])

    const other = await registerUser(url)
    expect((await requestToken(user, address)).body.errcode).toBe('M_THREEPID_IN_USE')
    // Only the owner learns that the address has one.
    expect((await requestToken(other, address)).status).toBe(200)
    const [, refusal] = await mailsTo(address, 2)
    expect(refusal!.text).toContain(`It belongs to an account already: ${user.userId}`)
    expect(refusal!.text).not.toContain('http')
    await user.post(`${v3}/account/3pid/delete`, { medium: 'email', address })
    expect((await user.get(`${v3}/account/3pid`)).threepids).toEqual([])
    expect((await requestToken(other, address, 2)).status).toBe(200)
    const [, , third] = await mailsTo(address, 3)
    expect(third!.subject).toBe(`Add your address to ${other.userId}`)
  })

  test.each<[string, (user: TestUser) => string, (user: TestUser) => string, RegExp]>([
    ['account/3pid', ({ userId }) => `to ${userId}`, ({ userId }) => `Yes, add it to ${userId}`, /back to your client/],
    ['register', () => 'new account at hearth.test', () => 'Yes, it is for my new account', /finish your registration/],
    ['account/password', ({ userId }) => `new password for ${userId}`, () => 'Yes, let me set', /set the new password/],
  ])('asked for at %s: mail and page say what the link does', async (place, subject, button, done) => {
    const { user, address } = place === 'account/password' ? await withAddress() : await newUser()
    const body = { email: address, client_secret: 'another', send_attempt: 1 }
    expect((await user.ask('POST', `${v3}/${place}/email/requestToken`, body)).status).toBe(200)
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toContain(subject(user))
    const page = await (await fetch(linkIn(mail!.text))).text()
    expect(page).toContain(`<button>${button(user)}`)
    expect(await (await fetch(linkIn(mail!.text), { method: 'POST' })).text()).toMatch(done)
  })

  test('get one mail for each attempt', async () => {
    const user = await registerUser(url)
    const address = `${uniqueName()}@example.org`
    const first = (await requestToken(user, address, 1)).body
    const [old] = await mailsTo(address, 1)
    expect((await requestToken(user, address, 1)).body).toEqual(first)
    expect((await requestToken(user, address, 2)).body).toEqual(first)
    const [, mail] = await mailsTo(address, 2)
    expect(linkIn(mail!.text)).not.toBe(linkIn(old!.text))
    expect((await fetch(linkIn(old!.text), { method: 'POST' })).status).toBe(404)
    expect((await fetch(linkIn(mail!.text), { method: 'POST' })).status).toBe(200)
    expect(mails.to(address)).toHaveLength(2)
  })

  test.each(['three_pid_creds', 'threePidCreds'])('are added by the old endpoint, with %s', async (name) => {
    const { user, address } = await newUser()
    const { sid } = (await requestToken(user, address)).body
    const body = { [name]: { sid, client_secret: 'secret', id_server: 'https://id.example.org' }, bind: true }
    const auth = { type: 'm.login.password', user: user.userId, password: 'correct horse battery' }
    const add = (more: object) => user.ask('POST', `${v3}/account/3pid`, { ...body, ...more })
    expect((await add({})).status).toBe(401)
    expect((await add({ auth })).body.errcode).toBe('M_THREEPID_AUTH_FAILED')
    const [mail] = await mailsTo(address, 1)
    await fetch(linkIn(mail!.text), { method: 'POST' })
    expect((await add({ auth })).status).toBe(200)
    expect((await user.get(`${v3}/account/3pid`)).threepids).toMatchObject([{ address }])
    expect((await user.ask('POST', `${v3}/account/3pid`, { auth })).body.errcode).toBe('M_MISSING_PARAM')
  })

  test.each(['nobody', 'a@b@c', ''])('%j is none', async (email) => {
    const user = await registerUser(url)
    expect((await requestToken(user, email)).body.errcode).toBe('M_INVALID_PARAM')
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset */
describe('pushers of kind email', () => {
  test('are for own addresses only', async () => {
    const [{ address }, mallory] = [await withAddress(), await registerUser(url)]
    const pusher = {
      app_id: 'm.email',
      pushkey: address,
      kind: 'email',
      app_display_name: 'Mail',
      lang: 'en',
      data: {},
    }
    const answer = await mallory.ask('POST', `${v3}/pushers/set`, { ...pusher, device_display_name: 'Mail' })
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_THREEPID_NOT_FOUND'])
  })

  test('tell once, by one mail, what stayed unread, and nothing that was read', async () => {
    const { alice, bob, address, roomId } = await withPusher()
    const read = await sendText(alice, roomId, 'You have read this')
    await bob.post(inRoom(roomId, `receipt/m.read/${encodeURIComponent(read)}`))
    await sendText(alice, roomId, 'Is <there> any tea?')
    const mention = { msgtype: 'm.text', body: 'Bob?', 'm.mentions': { user_ids: [bob.userId] } }
    await alice.put(inRoom(roomId, 'send/m.room.message/1'), mention)
    const redacted = await sendText(alice, roomId, 'No, forget it')
    await alice.put(inRoom(roomId, `redact/${encodeURIComponent(redacted)}/2`), {})

    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe('[Teapot] 2 unread notifications in Tea & cake')
    expect(mail!.text).toMatch(/Is <there> any tea\?[\s\S]*Bob\?/)
    expect(mail!.html).toMatch(/Is &#60;there&#62; any tea\?[\s\S]*Bob\?/)
    expect(mail!.text).toContain(`https://app.example.org/#/room/${encodeURIComponent(roomId)}`)
    for (const part of [mail!.text, mail!.html]) expect(part).not.toMatch(/You have read this|forget it/)
    expect(mail!.from?.address).toBe('hearth@hearth.test')

    // The next mail does not repeat the first.
    await bob.post(inRoom(roomId, `receipt/m.read/${encodeURIComponent(redacted)}`))
    await sendText(alice, roomId, 'Some is left')
    const [, second] = await mailsTo(address, 2)
    expect(second!.subject).toBe('[Teapot] 1 unread notification in Tea & cake')
    expect(second!.text).not.toContain('any tea')
    expect(mails.to(address)).toHaveLength(2)
  })

  test('reach a mail server that was down when it is back', async () => {
    const { alice, bob, address, roomId } = await withPusher()
    await mails.stop()
    await sendText(alice, roomId, 'First')
    await pollUntil('the mail server is missed', () =>
      hearths.some((hearth) => hearth.output().includes('ECONNREFUSED')),
    )
    await sendText(alice, roomId, 'Second')
    await mails.start()
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe('[Teapot] 2 unread notifications in Tea & cake')
    expect(mails.to(address)).toHaveLength(1)
    expect(await pushersOf(bob)).toHaveLength(1)
  })

  test('tell of invites', async () => {
    const { alice, bob, address } = await withPusher()
    await alice.post(`${v3}/createRoom`, { invite: [bob.userId], name: 'Coffee' })
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe('[Teapot] 1 unread notification in Coffee')
    expect(mail!.text).toContain('invited you')
  })

  test('end by one click of the mail program’s own button', async () => {
    const { alice, bob, address, roomId } = await withPusher()
    await sendText(alice, roomId, 'hello')
    const [mail] = await mailsTo(address, 1)
    const headers = new Map(mail!.headers.map(({ key, value }) => [key, value]))
    expect(headers.get('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click')
    const link = /^<(.*)>$/.exec(headers.get('list-unsubscribe')!)![1]!
    expect((await fetch(link)).status).toBe(200)
    expect((await fetch(`${link}x`, { method: 'POST' })).status).toBe(403)
    expect(await pushersOf(bob)).toHaveLength(1)
    const body = new URLSearchParams({ 'List-Unsubscribe': 'One-Click' })
    expect((await fetch(link, { method: 'POST', body })).status).toBe(200)
    expect(await pushersOf(bob)).toEqual([])
  })

  test('end by one click on the link in the mail', async () => {
    const { alice, bob, address, roomId } = await withPusher()
    await sendText(alice, roomId, 'hello')
    const [mail] = await mailsTo(address, 1)
    const link = /https?:\/\/\S+unsubscribe\S+/.exec(mail!.text!)![0]
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      await page.goto(link)
      await page.getByText('You are unsubscribed').waitFor()
    } finally {
      await browser.close()
    }
    expect(await pushersOf(bob)).toEqual([])
  })
})

describe('notices', () => {
  const logIn = (user: TestUser, more: object) =>
    user.ask('POST', `${v3}/login`, {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: user.userId },
      ...more,
    })

  test('tell of a sign-in, but not of the first one of a new account', async () => {
    const { user, address } = await withAddress()
    const wrong = await logIn(user, { password: 'wrong', initial_device_display_name: 'Thief' })
    expect(wrong.status).toBe(403)
    const name = 'New\nphone <b>'
    expect((await logIn(user, { password: 'correct horse battery', initial_device_display_name: name })).status).toBe(
      200,
    )
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe(`New sign-in to ${user.userId}`)
    expect(mail!.text).toMatch(/^Device: New phone <b>$/m)
    expect(mail!.text).toMatch(/^Network address: (::ffff:)?127\.0\.0\.1$/m)
    expect(mail!.text).toMatch(/^Time: 20\d\d-\d\d-\d\d \d\d:\d\d UTC$/m)
    expect(mail!.text).toContain(`${url}/account`)
    expect(mail!.html).toContain('Device: New phone &#60;b&#62;')
    expect(mails.to(address)).toHaveLength(1)
  })

  test('tell of a sign-in by OAuth once: in a new browser, or of the client in a browser that is signed in', async () => {
    const { user, address } = await withAddress()
    await signInByOAuth(url, user)
    const [first] = await mailsTo(address, 1)
    expect(first!.subject).toBe(`New sign-in to ${user.userId}`)
    const visitor = newVisitor(url)
    await signIn(visitor, user)
    await mailsTo(address, 2)
    for (const [count, scope] of [
      [3, loginScope()],
      [4, API_SCOPE],
    ] as const) {
      const attempt = authorization(await registerClient(url), { scope })
      const code = replyOf(await visitor.submit(await visitor.open(attempt.path), {}, { do: 'allow' })).get('code')!
      expect((await exchange(url, attempt, code)).status).toBe(200)
      expect((await mailsTo(address, count))[count - 1]!.text).toMatch(/^Device: A test client$/m)
    }
    expect(mails.to(address)).toHaveLength(4)
  })

  test('tell the old address of a new one, and both of a removed one', async () => {
    const { user, address } = await withAddress()
    const other = `${uniqueName()}@example.org`
    const { sid } = (await requestToken(user, other)).body
    const [link] = await mailsTo(other, 1)
    await fetch(linkIn(link!.text), { method: 'POST' })
    expect((await addAddress(user, sid)).status).toBe(200)
    const [added] = await mailsTo(address, 1)
    expect(added!.subject).toBe(`New address of ${user.userId}`)
    expect(added!.text).toContain(other)
    // Removing an address that the user does not have tells nobody.
    await user.post(`${v3}/account/3pid/delete`, { medium: 'email', address: `x${other}` })
    await user.post(`${v3}/account/3pid/delete`, { medium: 'email', address: address.toUpperCase() })
    const [, removed] = await mailsTo(address, 2)
    expect(removed!.subject).toBe(`Removed address of ${user.userId}`)
    const [, alsoRemoved] = await mailsTo(other, 2)
    expect(alsoRemoved!.subject).toBe(`Removed address of ${user.userId}`)
    expect([mails.to(address), mails.to(other)].map(({ length }) => length)).toEqual([2, 2])
  })

  test('tell of a new password', async () => {
    const { user, address } = await withAddress()
    const auth = { type: 'm.login.password', user: user.userId, password: 'correct horse battery' }
    const changed = await user.ask('POST', `${v3}/account/password`, { auth, new_password: 'another horse battery' })
    expect(changed.status).toBe(200)
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe(`New password of ${user.userId}`)
    expect(mail!.text).not.toContain('horse')
  })
})

describe('addresses on the account page', () => {
  const emailsPage = '/account/emails'

  async function enter() {
    const user = await registerUser(url)
    const visitor = newVisitor(url)
    await signIn(visitor, user)
    return { user, visitor }
  }

  const threepidsOf = async (user: TestUser) =>
    (await user.get(`${v3}/account/3pid`)).threepids.map(({ address }: { address: string }) => address)

  test('belong to the account once their link is confirmed, at any process', async () => {
    const { user, visitor } = await enter()
    const address = `${uniqueName()}@example.org`
    const sent = await visitor.submit(await visitor.open(emailsPage), { email: address.toUpperCase() }, { do: 'add' })
    expect(sent.text).toContain(`A mail was sent to ${address}`)
    expect(await threepidsOf(user)).toEqual([])
    const [mail] = await mailsTo(address, 1)
    expect(mail!.subject).toBe(`Add your address to ${user.userId}`)
    const link = new URL(linkIn(mail!.text))
    expect((await fetch(link)).status).toBe(200)
    expect(await threepidsOf(user)).toEqual([])
    const elsewhere = new URL(link.pathname, hearths[1]!.url)
    const done = await (await fetch(elsewhere, { method: 'POST' })).text()
    expect(done).toContain(`is added to ${user.userId}`)
    expect(await threepidsOf(user)).toEqual([address])
    expect((await fetch(link, { method: 'POST' })).status).toBe(404)
    const again = await visitor.submit(await visitor.open(emailsPage), { email: address }, { do: 'add' })
    expect([again.status, again.alert]).toEqual([400, expect.stringContaining('already')])
    const removed = await visitor.submit(await visitor.open(emailsPage), {}, { do: 'remove' })
    expect(removed.text).toContain('The address is removed')
    expect(removed.forms.map(({ fields }) => fields.do)).toEqual(['add'])
    expect(await threepidsOf(user)).toEqual([])
    expect((await mailsTo(address, 2))[1]!.subject).toBe(`Removed address of ${user.userId}`)
  })

  test('of other accounts look alike, and are not added', async () => {
    const [alice, bob] = [await enter(), await enter()]
    const address = `${uniqueName()}@example.org`
    await alice.visitor.submit(await alice.visitor.open(emailsPage), { email: address }, { do: 'add' })
    await bob.visitor.submit(await bob.visitor.open(emailsPage), { email: address }, { do: 'add' })
    const links = (await mailsTo(address, 2)).map(({ text }) => linkIn(text))
    expect((await fetch(links[0]!, { method: 'POST' })).status).toBe(200)
    const late = await fetch(links[1]!, { method: 'POST' })
    expect([late.status, await late.text()]).toEqual([400, expect.stringContaining('another account')])
    const sent = await bob.visitor.submit(await bob.visitor.open(emailsPage), { email: address }, { do: 'add' })
    expect([sent.status, sent.text]).toEqual([200, expect.stringContaining(`A mail was sent to ${address}`)])
    expect((await mailsTo(address, 3))[2]!.subject).toMatch(/^Your address at /)
    expect([await threepidsOf(alice.user), await threepidsOf(bob.user)].flat()).toEqual([address])
  })

  test('are not added to an account that was deactivated in the meantime', async () => {
    const { user, visitor } = await enter()
    const address = `${uniqueName()}@example.org`
    await visitor.submit(await visitor.open(emailsPage), { email: address }, { do: 'add' })
    const [mail] = await mailsTo(address, 1)
    await visitor.submit(await visitor.open('/account/deactivate'), { name: user.userId })
    expect((await fetch(linkIn(mail!.text), { method: 'POST' })).status).toBe(404)
    const other = await enter()
    await other.visitor.submit(await other.visitor.open(emailsPage), { email: address }, { do: 'add' })
    await fetch(linkIn((await mailsTo(address, 2))[1]!.text), { method: 'POST' })
    expect(await threepidsOf(other.user)).toEqual([address])
  })

  test.each(['', 'nobody', 'two words@example.org', '"><b>@example.org', `${'a'.repeat(600)}@example.org`])(
    'that are none are refused: %s',
    async (email) => {
      const { visitor } = await enter()
      const page = await visitor.submit(await visitor.open(emailsPage), { email }, { do: 'add' })
      expect([page.status, page.alert]).toEqual([400, 'This is not an e-mail address.'])
      expect(page.text).not.toContain('"><b>')
    },
  )
})
