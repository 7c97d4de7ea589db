import { describe, expect, inject, test } from 'vitest'
import { ask, registerUser, uniqueName } from '../harness/client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'

const logIn = (name: string, given = password) =>
  ask(url, {
    method: 'POST',
    path: `${v3}/login`,
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password: given },
  })

describe('the registration page', () => {
  test('creates an account, signs the browser in, and leads on', async () => {
    const name = uniqueName()
    const visitor = newVisitor(url)
    const login = await visitor.open('/login?continue=%2Faccount%2Fdevices')
    const link = /href="(\/register[^"]*)"/.exec(login.text)![1]!
    const form = await visitor.open(link)
    expect(form.title).toMatch(/^Create an account at /)
    const before = new Map(visitor.cookies)
    const page = await visitor.submit(form, { user: ` ${name.toUpperCase()} `, password })
    expect([page.status, page.url.pathname]).toEqual([200, '/account/devices'])
    expect(visitor.cookies).not.toEqual(before)
    expect((await logIn(name)).body.user_id).toMatch(new RegExp(`^@${name}:`))
    // No device and no token is made for the browser.
    const { body } = await logIn(name)
    const { devices } = (await ask(url, { method: 'GET', path: `${v3}/devices`, token: body.access_token })).body
    expect(devices).toHaveLength(2)
  })

  test.each<[string, () => Promise<string> | string, string, RegExp]>([
    ['a name that is taken', async () => (await registerUser(url)).userId.slice(1).split(':')[0]!, password, /taken/],
    ['a name with other characters', () => 'Ümlaut "><b>', password, /can only contain/],
    ['no name', () => '', password, /can only contain/],
    ['a name that is too long', () => 'x'.repeat(255), password, /can only contain|too long/],
    ['a short password', () => uniqueName(), 'short', /at least 8 characters/],
    ['no password', () => uniqueName(), '', /at least 8 characters/],
    ['a password that is too long', () => uniqueName(), 'x'.repeat(1025), /at most 1024/],
  ])('refuses %s, and keeps the name but not the password', async (_, makeName, given, text) => {
    const name = await makeName()
    const visitor = newVisitor(url)
    const page = await visitor.submit(await visitor.open('/register'), { user: name, password: given })
    expect([page.status, page.alert]).toEqual([400, expect.stringMatching(text)])
    expect(page.forms[0]!.fields).toMatchObject({ user: name, password: '' })
    expect(page.text).toContain('aria-invalid="true"')
    expect(page.text).not.toContain('"><b>')
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
    const next = await visitor.submit(page, { user: uniqueName(), password })
    expect(next.url.pathname).toBe('/account')
  })

  test('gives a name to one of many who want it at once', async () => {
    const name = uniqueName()
    const visitors = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const visitor = newVisitor(url)
        return { visitor, form: await visitor.open('/register') }
      }),
    )
    const pages = await Promise.all(visitors.map(({ visitor, form }) => visitor.submit(form, { user: name, password })))
    expect(pages.filter((page) => page.url.pathname === '/account')).toHaveLength(1)
    const refused = pages.filter((page) => page.url.pathname === '/register')
    for (const page of refused) expect(page.alert).toContain('taken')
  })

  test('speaks the language of the browser', async () => {
    const visitor = newVisitor(url, { language: 'zh-CN' })
    const form = await visitor.open('/register')
    expect(form.title).toMatch(/创建账户$/)
    const page = await visitor.submit(form, { user: 'x y', password })
    expect(page.alert).toMatch(/^此用户名不可用/)
  })

  test('refuses forms of other pages', async () => {
    const visitor = newVisitor(url)
    const form = await visitor.open('/register')
    const name = uniqueName()
    expect((await visitor.submit(form, { csrf: 'forged', user: name, password })).status).toBe(403)
    expect((await newVisitor(url).submit(form, { user: name, password })).status).toBe(403)
    expect((await logIn(name)).status).toBe(403)
  })

  test('leads to no other site', async () => {
    for (const target of ['https://evil.example/', '//evil.example', '/_matrix/x']) {
      const visitor = newVisitor(url)
      const form = await visitor.open(`/register?continue=${encodeURIComponent(target)}`)
      const page = await visitor.submit(form, { user: uniqueName(), password })
      expect([page.status, page.url.pathname]).toEqual([200, '/account'])
      expect(form.text).not.toContain('evil.example')
    }
  })

  test('creates another account for a visitor who is signed in', async () => {
    const alice = await registerUser(url)
    const visitor = newVisitor(url)
    await signIn(visitor, alice)
    const name = uniqueName()
    const page = await visitor.submit(await visitor.open('/register'), { user: name, password })
    expect(page.text).toContain(`@${name}:`)
  })
})

describe('sessions of a registration', () => {
  const register = (body: object) => ask(url, { method: 'POST', path: `${v3}/register`, body })

  test.each(['unknown', '', '%22%3E%3Cb%3E', 'x'.repeat(300)])('do not go on from %j', async (session) => {
    const page = await newVisitor(url).open(`/register/confirm?session=${session}`)
    expect([page.status >= 400, page.status < 500]).toEqual([true, true])
    expect(page.text).not.toContain('<b>"')
  })

  test('of a client do not go on on the page', async () => {
    const { session } = (await register({ username: uniqueName(), password })).body
    const page = await newVisitor(url).open(`/register/confirm?session=${session}`)
    expect(page.status).toBe(404)
  })

  test('of the page are not given by a client', async () => {
    const name = uniqueName()
    const page = { browser: 'x', email: 'somebody@example.org', client_secret: 'x', language: 'en' }
    const { session } = (await register({ username: name, password, page })).body
    expect((await newVisitor(url).open(`/register/confirm?session=${session}`)).status).toBe(404)
  })
})

describe('a forgotten password', () => {
  test('is the administrators’ business where no mail is sent', async () => {
    const page = await newVisitor(url).open('/password/forgotten')
    expect([page.status, page.forms.length]).toEqual([403, 0])
    expect(page.text).toContain('Ask its administrators')
    expect((await newVisitor(url).open('/login')).text).not.toContain('/password/forgotten')
  })

  test.each(['a/b', '%22%3E%3Cb%3E/x', `${'x'.repeat(300)}/y`, '%00/x'])(
    'is not reset by the link %s',
    async (link) => {
      for (const init of [{}, { method: 'POST', body: new URLSearchParams({ password }) }]) {
        const page = await newVisitor(url).open(`/password/reset/${link}`, init)
        expect([page.status >= 400, page.status < 500]).toEqual([true, true])
        expect(page.text).not.toContain('"><b>')
      }
    },
  )
})
