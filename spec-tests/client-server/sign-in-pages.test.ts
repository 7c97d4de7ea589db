import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
let alice: TestUser
beforeAll(async () => {
  alice = await registerUser(url)
})
const password = 'correct horse battery'

describe('signing in on the page', () => {
  test('leads to the account, or to what it was for', async () => {
    const visitor = newVisitor(url)
    const form = await visitor.open('/')
    expect([form.status, form.url.pathname]).toEqual([200, '/login'])
    expect(form.title).toMatch(/^Sign in to /)
    const page = await visitor.submit(form, { user: alice.userId, password })
    expect([page.status, page.url.pathname]).toEqual([200, '/account'])
    expect(page.text).toContain(alice.userId)
    expect((await signIn(newVisitor(url), alice, '/account?action=org.matrix.profile')).url.pathname).toBe(
      '/account/profile',
    )
  })

  test('gives the browser a new cookie, and signing out ends it', async () => {
    const visitor = newVisitor(url)
    await visitor.open('/login')
    const before = new Map(visitor.cookies)
    await signIn(visitor, alice)
    const signedIn = new Map(visitor.cookies)
    expect(signedIn).not.toEqual(before)
    const planted = newVisitor(url)
    for (const [name, value] of before) planted.cookies.set(name, value)
    expect((await planted.open('/account')).url.pathname).toBe('/login')
    const left = await visitor.submit(await visitor.open('/logout'))
    expect(left.title).toBe('You are signed out')
    for (const [name, value] of signedIn) visitor.cookies.set(name, value)
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
  })

  test('with an unknown name, a wrong password or nothing shows the form again', async () => {
    const visitor = newVisitor(url)
    const form = await visitor.open('/login?continue=%2Faccount')
    for (const user of [alice.userId, uniqueName(), '@alice:elsewhere.example', 'nobody@example.org', '"><b>']) {
      const page = await visitor.submit(form, { user, password: 'wrong' })
      expect([page.status, page.alert]).toEqual([403, 'The user name or the password is wrong.'])
      expect(page.forms[0]!.fields.user).toBe(user)
      expect(page.text).not.toContain('"><b>')
    }
    expect((await visitor.submit(form, { user: alice.userId, password: '' })).status).toBe(400)
    expect((await visitor.submit(form, { user: alice.userId, password })).url.pathname).toBe('/account')
  })

  test('asks again for what needs a recent sign-in, and in the reader’s language', async () => {
    const visitor = newVisitor(url, { language: 'zh-CN,zh;q=0.9' })
    await signIn(visitor, alice)
    const page = await visitor.open('/login')
    expect(page.title).toBe('确认是您本人')
    expect(page.text).toContain('<html lang="zh-Hans">')
    expect(page.forms[0]!.fields.user).toBe(alice.userId)
  })

  test.each(['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/_matrix/x', '/a'])(
    'leads nowhere else: %s',
    async (target) => {
      const page = await signIn(newVisitor(url), alice, target)
      expect([page.status, page.url.pathname]).toEqual([200, '/account'])
    },
  )
})

describe('forms', () => {
  test('are refused from other pages and without a cookie', async () => {
    const visitor = newVisitor(url)
    const form = await visitor.open('/login')
    const forged = await visitor.submit(form, { csrf: 'forged', user: alice.userId, password })
    expect([forged.status, forged.alert]).toEqual([403, expect.stringContaining('too old')])
    const stranger = await newVisitor(url).submit(form, { user: alice.userId, password })
    expect([stranger.status, stranger.alert]).toEqual([403, expect.stringContaining('cookies')])
  })

  test('cannot be framed, and load nothing from elsewhere', async () => {
    const { headers, text } = await newVisitor(url).open('/login')
    const policy = headers.get('content-security-policy')!
    for (const part of ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(part)
    expect(headers.get('x-frame-options')).toBe('DENY')
    const sheets = [...text.matchAll(/<link rel="stylesheet" href="([^"]+)">/g)].map(([, path]) => path!)
    expect(sheets).toHaveLength(2)
    for (const path of sheets) {
      const answer = await fetch(url + path)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8'])
      expect(answer.headers.get('cache-control')).toContain('immutable')
    }
    expect((await fetch(`${url}/assets/000000000000/pico.css`)).status).toBe(404)
  })
})

test('a new password, and the end of all sessions, end those of browsers too', async () => {
  const user = await registerUser(url)
  const visitor = newVisitor(url)
  expect((await signIn(visitor, user)).url.pathname).toBe('/account')
  const { status } = await ask(url, { method: 'POST', path: `${v3}/logout/all`, token: user.accessToken })
  expect(status).toBe(200)
  expect((await visitor.open('/account')).url.pathname).toBe('/login')
})
