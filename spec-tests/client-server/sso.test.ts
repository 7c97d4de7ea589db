import { createClient } from 'matrix-js-sdk'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { newVisitor, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { silent } from '../harness/sdk.ts'

/** Clients that speak no OAuth and sign in over the pages of the server: m.login.sso. */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'
let alice: TestUser
beforeAll(async () => {
  alice = await registerUser(url)
})

const redirect = (client: string, more = '') =>
  `${v3}/login/sso/redirect${more}?redirectUrl=${encodeURIComponent(client)}`
const open = (path: string) => newVisitor(url).open(path)
const logIn = (token: string) =>
  ask(url, { method: 'POST', path: `${v3}/login`, body: { type: 'm.login.token', token } })
const tokenIn = (page: VisitedPage) => /[?&]loginToken=([A-Za-z0-9_]+)/.exec(page.headers.get('location')!)![1]!

/** Signs in over the page for a client; returns the page that names the client. */
async function signInFor(client: string, visitor: Visitor = newVisitor(url)): Promise<[Visitor, VisitedPage]> {
  const login = await visitor.open(redirect(client))
  expect(login.url.pathname).toBe('/login')
  return [visitor, await visitor.submit(login, { user: alice.userId, password })]
}

describe('single sign-on', () => {
  test('is a login flow', async () => {
    const { body } = await ask(url, { method: 'GET', path: `${v3}/login` })
    expect(body.flows).toContainEqual({
      type: 'm.login.sso',
      identity_providers: [],
      oauth_aware_preferred: true,
      'org.matrix.msc3824.delegated_oidc_compatibility': true,
    })
    expect(body.flows).toContainEqual({ type: 'm.login.token', get_login_token: true })
  })

  test('leads to the client with a token, which logs in once', async () => {
    const [visitor, page] = await signInFor('https://app.example.org/?a=1&b=%20x#/start')
    expect(page.title).toBe('Continue to app.example.org')
    expect(page.text).toContain(`app.example.org wants to sign in as ${alice.userId}.`)
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' https://app.example.org;")
    const done = await visitor.submit(page)
    expect([done.status, done.headers.get('location')]).toEqual([
      303,
      expect.stringMatching(/^https:\/\/app\.example\.org\/\?a=1&b=%20x&loginToken=[A-Za-z0-9_]+#\/start$/),
    ])
    const { status, body } = await logIn(tokenIn(done))
    expect([status, body.user_id]).toEqual([200, alice.userId])
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: body.access_token })).status).toBe(200)
    const again = await logIn(tokenIn(done))
    expect([again.status, again.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  test('of two clients with one token lets in one', async () => {
    const [visitor, page] = await signInFor('https://app.example.org/')
    const token = tokenIn(await visitor.submit(page))
    const statuses = (await Promise.all([logIn(token), logIn(token), logIn(token)])).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 403, 403])
  })

  test('works with matrix-js-sdk', async () => {
    const client = createClient({ baseUrl: url, logger: silent })
    const started = client.getSsoLoginUrl('https://app.example.org/', 'sso', undefined, 'login' as never)
    const visitor = newVisitor(url)
    const login = await visitor.open(started.slice(url.length))
    const done = await visitor.submit(await visitor.submit(login, { user: alice.userId, password }))
    const session = await client.loginWithToken(tokenIn(done))
    expect(session.user_id).toBe(alice.userId)
    await createClient({
      baseUrl: url,
      logger: silent,
      accessToken: session.access_token,
      userId: alice.userId,
    }).logout(true)
  })

  test('leads to apps by their scheme', async () => {
    const [visitor, page] = await signInFor('org.example.app:/sso')
    expect(page.title).toBe('Continue to org.example.app')
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' org.example.app:;")
    expect((await visitor.submit(page)).headers.get('location')).toMatch(/^org\.example\.app:\/sso\?loginToken=/)
  })

  test('asks somebody who is signed in already, and lets them choose another account', async () => {
    const [visitor] = await signInFor('https://app.example.org/')
    const page = await visitor.open(redirect('https://other.example.org:8443/'))
    expect(page.title).toBe('Continue to other.example.org:8443')
    const other = await registerUser(url)
    const href = /href="(\/login[^"]*)"/.exec(page.text)![1]!.replaceAll('&#38;', '&')
    const chosen = await visitor.submit(await visitor.open(href), { user: other.userId, password })
    expect(chosen.text).toContain(other.userId)
    expect((await logIn(tokenIn(await visitor.submit(chosen)))).body.user_id).toBe(other.userId)
  })

  test('needs the form of its own page', async () => {
    const [visitor] = await signInFor('https://app.example.org/')
    const cookie = [...visitor.cookies].map((pair) => pair.join('=')).join('; ')
    const path = url + redirect('https://evil.example/')
    const forged = { method: 'POST', redirect: 'manual', body: new URLSearchParams({ csrf: 'guess' }) } as const
    for (const headers of [{ cookie }, {}]) {
      const answer = await fetch(path, { ...forged, headers })
      expect([answer.status, answer.headers.get('location')]).toEqual([403, null])
    }
  })

  test.each([
    'javascript:alert(1)',
    'mailto:mallory@example.org',
    'https://a;sandbox;b.example.org/',
    'https://*/',
    'JavaScript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://app.example.org/x',
    'file:///etc/passwd',
    'view-source:https://app.example.org/',
    'about:blank',
    'https://user:password@app.example.org/',
    '/account',
    '//app.example.org/',
    'app.example.org',
    '',
    `https://app.example.org/${'x'.repeat(2000)}`,
    `https://app.example.org/${'é'.repeat(800)}`,
  ])('never leads to %s', async (client) => {
    const visitor = newVisitor(url)
    await visitor.submit(await visitor.open('/login'), { user: alice.userId, password })
    for (const page of [await open(redirect(client)), await visitor.open(redirect(client))])
      expect([page.status, page.headers.get('location'), page.headers.get('refresh')]).toEqual([400, null, null])
  })

  test('needs a client, and a provider that exists', async () => {
    expect((await open(`${v3}/login/sso/redirect`)).status).toBe(400)
    for (const id of ['nowhere', '%00', '..%2Flogin', 'constructor'])
      expect((await open(redirect('https://app.example.org/', `/${id}`))).status, id).toBe(404)
  })
})
