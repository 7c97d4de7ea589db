import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { ask, asUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { startRoundRobinProxy } from '../harness/round-robin-proxy.ts'
import { setUpTotp } from '../harness/second-factor.ts'

/** Registration by mail, token and terms, and forgotten passwords, on three processes. */
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'
const TERMS = 'https://example.org/terms-1.2-en.html'

let postgres: TestPostgres
let database: pg.Client
let mails: MailServer
let hearths: TestHearth[]
let proxy: Awaited<ReturnType<typeof startRoundRobinProxy>>
let url: string
beforeAll(async () => {
  ;[postgres, mails] = await Promise.all([startPostgres(), startMailServer()])
  const databaseUrl = await postgres.createDatabase()
  const port = await freePort()
  const config = {
    public_base_url: `http://127.0.0.1:${port}`,
    email: { smtp_url: mails.url, from: 'Hearth <hearth@hearth.test>', require_tls: false, blocked_domains: ['*.bad'] },
    registration: {
      enabled: true,
      requires_token: true,
      blocked_names: ['admin*'],
      terms: [
        { id: 'terms', version: '1.2', name: 'Terms of service', url: TERMS },
        { id: 'terms', version: '1.2', name: '服务条款', url: 'https://example.org/zh', language: 'zh' },
      ],
    },
  }
  hearths = await Promise.all([1, 2, 3].map(() => startHearth({ databaseUrl, config })))
  proxy = await startRoundRobinProxy(
    hearths.map((hearth) => hearth.url),
    { port },
  )
  url = proxy.url
  database = new pg.Client(databaseUrl)
  await database.connect()
})
afterAll(async () => {
  await database?.end()
  await proxy?.close()
  await Promise.all((hearths ?? []).map((hearth) => hearth.dispose()))
  await mails?.stop()
  await postgres?.stop()
})

async function newToken(): Promise<string> {
  const token = uniqueName('token')
  await database.query('insert into registration_tokens (token, uses_allowed, created_ts) values ($1, 1, 1)', [token])
  return token
}

async function mailTo(address: string, count = 1): Promise<{ subject: string; text: string; html: string }> {
  const found = await pollUntil(`${count} mails arrive`, () => mails.to(address).length >= count && mails.to(address))
  const { subject, text, html } = found[count - 1]!
  return { subject: subject!, text: text!, html: html! }
}
const linkIn = ({ text }: { text: string }) => /http:\/\/\S+/.exec(text)![0]
const pathOf = (link: string) => link.slice(new URL(link).origin.length)

const newAddress = () => `${uniqueName()}@example.org`

/** Fills in the form of a registration. */
async function begin(visitor: Visitor, fields: Record<string, string>, on = '/account'): Promise<VisitedPage> {
  const form = await visitor.open(`/register?continue=${encodeURIComponent(on)}`)
  // The box `accept` is not checked, so that `submit` does not know it.
  const filled = { ...form.forms[0]!.fields, user: uniqueName(), password, token: await newToken(), accept: 'yes' }
  const body = new URLSearchParams({ ...filled, ...fields })
  return visitor.open(form.url.pathname + form.url.search, { method: 'POST', body })
}

const logIn = (user: string, given = password): ReturnType<typeof ask> =>
  ask(url, {
    method: 'POST',
    path: `${v3}/login`,
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: given },
  })

const isTaken = async (name: string) =>
  (await ask(url, { method: 'GET', path: `${v3}/register/available?username=${name}` })).status === 400

/** Creates an account with an address. */
async function withAddress(): Promise<{ user: TestUser; address: string; visitor: Visitor }> {
  const [name, address, visitor] = [uniqueName(), newAddress(), newVisitor(url)]
  const waiting = await begin(visitor, { user: name, email: address })
  await visitor.open(pathOf(linkIn(await mailTo(address))), { method: 'POST' })
  expect((await visitor.submit(waiting, {}, { do: 'finish' })).url.pathname).toBe('/account')
  const user = asUser(url, (await logIn(name)).body)
  await mailTo(address, 2)
  return { user, address, visitor }
}

describe('a registration with token and terms', () => {
  test('shows the terms in the language of the reader, and records that they were accepted', async () => {
    const visitor = newVisitor(url, { language: 'zh-CN' })
    const form = await visitor.open('/register?token=abc')
    expect(form.forms[0]!.fields.token).toBe('abc')
    expect(form.text).toContain('服务条款')
    expect(form.text).not.toContain(TERMS)
    const name = uniqueName()
    const page = await begin(visitor, { user: name })
    expect(page.url.pathname).toBe('/account')
    const user = asUser(url, (await logIn(name)).body)
    const path = `${v3}/user/${encodeURIComponent(user.userId)}/account_data/m.accepted_terms`
    expect((await user.get(path)).accepted).toContain(TERMS)
  })

  test('needs both, and uses up the token only once', async () => {
    const visitor = newVisitor(url)
    const token = await newToken()
    const name = uniqueName()
    const { accept: _, ...form } = (await visitor.open('/register')).forms[0]!.fields
    const submit = (fields: Record<string, string>) =>
      visitor.open('/register', {
        method: 'POST',
        body: new URLSearchParams({ ...form, user: name, password, token, ...fields }),
      })
    expect(await submit({})).toMatchObject({ status: 403, alert: expect.stringContaining('Accept the rules') })
    const wrong = await submit({ accept: 'yes', token: 'wrong' })
    expect(wrong).toMatchObject({ status: 403, alert: 'This registration token is not valid.' })
    expect((await submit({ accept: 'yes', user: 'administrator' })).alert).toContain('reserved')
    expect(await isTaken(name)).toBe(false)
    expect((await submit({ accept: 'yes' })).url.pathname).toBe('/account')
    const second = await begin(newVisitor(url), { token })
    expect(second.alert).toBe('This registration token is not valid.')
  })

  test('gives a token for one use to one of many at once', async () => {
    const token = await newToken()
    const pages = await Promise.all(Array.from({ length: 6 }, () => begin(newVisitor(url), { token })))
    expect(pages.filter((page) => page.url.pathname === '/account')).toHaveLength(1)
  })
})

describe('a registration with an address', () => {
  test('goes on where it was for once the mailed link was opened', async () => {
    const [visitor, name, address] = [newVisitor(url), uniqueName(), newAddress()]
    const waiting = await begin(visitor, { user: name, email: address.toUpperCase() }, '/account/devices')
    expect([waiting.status, waiting.url.pathname]).toEqual([200, '/register/confirm'])
    expect(waiting.text).toContain(address)
    const early = await visitor.submit(waiting, {}, { do: 'finish' })
    expect([early.status, early.alert]).toEqual([403, 'The link in the mail was not opened yet.'])
    expect(await isTaken(name)).toBe(false)

    // The link is opened in another browser, which does not become signed in.
    const elsewhere = newVisitor(url)
    const question = await elsewhere.open(pathOf(linkIn(await mailTo(address))))
    const confirmed = await elsewhere.submit(question)
    expect(confirmed.title).toBe('Your address is confirmed')
    expect(await isTaken(name)).toBe(false)
    const next = /href="(http[^"]*\/register\/confirm[^"]*)"/.exec(confirmed.text)![1]!.replaceAll('&#38;', '&')
    expect((await elsewhere.open(pathOf(next))).status).toBe(403)

    const page = await visitor.submit(await visitor.open(pathOf(next)), {}, { do: 'finish' })
    expect(page.url.pathname).toBe('/account/devices')
    const user = asUser(url, (await logIn(name)).body)
    expect((await user.get(`${v3}/account/3pid`)).threepids).toMatchObject([{ medium: 'email', address }])
    // A repeated form, whose answer was lost, signs nobody else in.
    expect((await newVisitor(url).submit(waiting, {}, { do: 'finish' })).status).toBe(403)
  })

  test('repeats the last step for a browser that lost the answer', async () => {
    const [visitor, name, address] = [newVisitor(url), uniqueName(), newAddress()]
    const waiting = await begin(visitor, { user: name, email: address })
    await visitor.open(pathOf(linkIn(await mailTo(address))), { method: 'POST' })
    const before = new Map(visitor.cookies)
    expect((await visitor.submit(waiting, {}, { do: 'finish' })).url.pathname).toBe('/account')
    const again = newVisitor(url)
    for (const [key, value] of before) again.cookies.set(key, value)
    expect((await again.submit(waiting, {}, { do: 'finish' })).url.pathname).toBe('/account')
  })

  test('takes another name if the first was taken in the meantime', async () => {
    const [visitor, name, address] = [newVisitor(url), uniqueName(), newAddress()]
    const waiting = await begin(visitor, { user: name, email: address })
    expect((await begin(newVisitor(url), { user: name })).url.pathname).toBe('/account')
    await visitor.open(pathOf(linkIn(await mailTo(address))), { method: 'POST' })
    const refused = await visitor.submit(waiting, {}, { do: 'finish' })
    expect(refused.alert).toContain('taken')
    const other = uniqueName()
    expect((await visitor.submit(refused, { user: other }, { do: 'finish' })).url.pathname).toBe('/account')
    expect((await logIn(other)).status).toBe(200)
  })

  test('mails the link again, and then only the newest works', async () => {
    const [visitor, address] = [newVisitor(url), newAddress()]
    const waiting = await begin(visitor, { email: address })
    const first = linkIn(await mailTo(address))
    const again = await visitor.submit(waiting, {}, { do: 'again' })
    expect(again.text).toContain('sent again')
    const second = linkIn(await mailTo(address, 2))
    expect((await visitor.open(pathOf(first), { method: 'POST' })).status).toBe(404)
    expect((await visitor.open(pathOf(second), { method: 'POST' })).status).toBe(200)
    expect((await visitor.submit(again, {}, { do: 'finish' })).url.pathname).toBe('/account')
  })

  test('shows the same page for an address that has an account, which gets a mail that says so', async () => {
    const { user, address } = await withAddress()
    const strange = newAddress()
    const pages = []
    for (const email of [address, strange]) {
      const visitor = newVisitor(url)
      const waiting = await begin(visitor, { email })
      const refused = await visitor.submit(waiting, {}, { do: 'finish' })
      const shown = [waiting, refused].map(({ status, text }) => [status, plain(text, email)])
      pages.push(shown)
    }
    expect(pages[0]).toEqual(pages[1])
    const mail = await mailTo(address, 3)
    expect(mail.text).toContain(user.userId)
    expect(mail.text).not.toContain('http')
  })

  test.each(['nobody', 'a@b@c', 'someone@mail.bad'])('is refused with the address %s', async (email) => {
    const page = await begin(newVisitor(url), { email })
    expect([page.status >= 400, page.url.pathname]).toEqual([true, '/register'])
    expect(page.forms[0]!.fields.email).toBe(email)
  })
})

/** Removes what differs in every answer. */
function plain(text: string, address: string): string {
  return text
    .replaceAll(address, 'ADDRESS')
    .replace(/name="csrf" value="[^"]*"/g, '')
    .replace(/session=[^&"]*/g, '')
}

describe('a forgotten password', () => {
  const forget = async (visitor: Visitor, email: string) =>
    visitor.submit(await visitor.open('/password/forgotten?continue=%2Faccount%3Fa%3Db'), { email })

  test('is replaced by a mailed link, once, and ends all sessions', async () => {
    const { user, address, visitor } = await withAddress()
    const sent = await forget(newVisitor(url), address.toUpperCase())
    expect([sent.status, sent.title]).toEqual([200, 'Look into your mail'])
    const mail = await mailTo(address, 3)
    expect(mail.subject).toBe(`Set a new password for ${user.userId}`)
    const path = pathOf(linkIn(mail))
    expect(path).toMatch(/^\/password\/reset\//)

    const elsewhere = newVisitor(url)
    const form = await elsewhere.open(path)
    expect(form.forms[0]!.fields.user).toBe(user.userId)
    const weak = await elsewhere.submit(form, { password: 'short' })
    expect([weak.status, weak.alert]).toEqual([400, expect.stringContaining('at least 8')])
    expect((await logIn(user.userId)).status).toBe(200)
    const answers = await Promise.all(
      ['first horse battery', 'second horse battery'].map((given) => elsewhere.submit(form, { password: given })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404])
    const set = answers[0]!.status === 200 ? 'first horse battery' : 'second horse battery'
    expect(answers.find(({ status }) => status === 200)!.text).toContain('/login?continue=%2Faccount%3Fa%3Db')
    expect((await elsewhere.open(path)).status).toBe(404)

    expect((await user.ask('GET', `${v3}/account/whoami`)).status).toBe(401)
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
    expect((await logIn(user.userId)).status).toBe(403)
    expect((await logIn(user.userId, set)).status).toBe(200)
    const notice = await pollUntil('a notice arrives', () =>
      mails.to(address).find(({ subject }) => subject === `New password of ${user.userId}`),
    )
    expect(notice.text).not.toContain('horse')
  })

  test('is treated alike for a known and an unknown address', async () => {
    const { address } = await withAddress()
    const strange = newAddress()
    const [known, unknown] = [await forget(newVisitor(url), address), await forget(newVisitor(url), strange)]
    expect([known.status, plain(known.text, address)]).toEqual([unknown.status, plain(unknown.text, strange)])
    expect((await mailTo(strange)).subject).toBe('No account at hearth.test has this address')
    expect((await mailTo(strange)).text).not.toContain('http')
  })

  test('leaves the second factor in place', async () => {
    const { user, address, visitor } = await withAddress()
    await setUpTotp(visitor)
    await forget(newVisitor(url), address)
    const mail = await pollUntil('the link arrives', () =>
      mails.to(address).find(({ subject }) => subject === `Set a new password for ${user.userId}`),
    )
    const browser = newVisitor(url)
    const set = await browser.submit(await browser.open(pathOf(linkIn({ text: mail.text! }))), {
      password: 'another horse battery',
    })
    expect(set.status).toBe(200)
    const signedIn = await signIn(browser, { userId: user.userId, password: 'another horse battery' })
    expect(signedIn.url.pathname).toBe('/login/second-factor')
  })

  test('is not replaced once the address belongs to the account no more', async () => {
    const { user, address } = await withAddress()
    await forget(newVisitor(url), address)
    const path = pathOf(linkIn(await mailTo(address, 3)))
    await user.post(`${v3}/account/3pid/delete`, { medium: 'email', address })
    const browser = newVisitor(url)
    const page = await browser.submit(await browser.open(path), { password: 'another horse battery' })
    expect(page.status).toBe(404)
    expect((await logIn(user.userId)).status).toBe(200)
  })

  test('speaks Chinese, in the mail too', async () => {
    const { address } = await withAddress()
    const sent = await forget(newVisitor(url, { language: 'zh-CN' }), address)
    expect(sent.title).toBe('请查收邮件')
    const mail = await mailTo(address, 3)
    expect(mail.subject).toContain('设置新密码')
    expect(mail.html).toContain('<html lang="zh-Hans">')
  })

  test.each(['nobody', ''])('is not asked for with %j', async (email) => {
    expect((await forget(newVisitor(url), email)).status).toBe(400)
  })
})

describe('mails about sign-ins on the pages', () => {
  test('tell of a new browser, in the language of its pages, and not of a renewed sign-in', async () => {
    const { user, address } = await withAddress()
    const visitor = newVisitor(url, { language: 'zh-CN' })
    await visitor.open('/login')
    await signIn(visitor, user)
    expect((await mailTo(address, 3)).subject).toBe(`${user.userId} 有新的登录`)
    await signIn(visitor, user)
    await signIn(newVisitor(url), user)
    expect((await mailTo(address, 4)).subject).toBe(`New sign-in to ${user.userId}`)
  })

  test('are turned off and on again by the user', async () => {
    const { user, address, visitor } = await withAddress()
    const off = await visitor.submit(await visitor.open('/account/emails'), {}, { do: 'mails-off' })
    expect(off.text).toContain('You get no mails about sign-ins.')
    await signIn(newVisitor(url), user)
    await logIn(user.userId)
    await visitor.submit(off, {}, { do: 'mails-on' })
    await logIn(user.userId)
    expect((await mailTo(address, 3)).text).toContain('Client: node')
    expect(mails.to(address)).toHaveLength(3)
  })
})

test('after the death of a process in a registration the user can sign in, or register again', async () => {
  const alone = await startHearth({ config: { registration: { enabled: true } } })
  try {
    for (let round = 0; round < 3; round++) {
      const [name, visitor] = [uniqueName(), newVisitor(alone.url)]
      const form = await visitor.open('/register')
      const lost = visitor.submit(form, { user: name, password }).catch(() => undefined)
      await pollUntil('the account is there', async () => {
        const path = `${v3}/register/available?username=${name}`
        return (await ask(alone.url, { method: 'GET', path })).status === 400
      })
      await alone.kill('SIGKILL')
      await lost
      await alone.restart()
      const page = await signIn(newVisitor(alone.url), { userId: name, password })
      expect([page.status, page.url.pathname]).toEqual([200, '/account'])
    }
  } finally {
    await alone.dispose()
  }
})
