import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import {
  API_SCOPE,
  askOAuth,
  authorization,
  exchange,
  loginScope,
  type OAuthTestClient,
  obtainCode,
  openConsent,
  refreshOAuth,
  registerClient,
  replyOf,
  signInByOAuth,
  webClient,
} from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

const { url, sharedSecret } = inject('homeserver')
const v3 = '/_matrix/client/v3'
let alice: TestUser
let client: OAuthTestClient
let other: OAuthTestClient
beforeAll(async () => {
  alice = await registerUser(url)
  client = await registerClient(url)
  other = await registerClient(url, webClient('other.example.org'))
})

const statusOf = async (token: string) =>
  (await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })).status
const times = <Result>(count: number, work: () => Promise<Result>) => Promise.all(Array.from({ length: count }, work))

describe('a code', () => {
  const CHANGES: [string, Record<string, string>][] = [
    ['with another verifier', { code_verifier: 'a'.repeat(43) }],
    ['with the challenge as the verifier', { code_verifier: '' }],
    ['to another redirect URI', { redirect_uri: 'https://app.example.org/other' }],
    ['that was made up', { code: `hearth_code_${'a'.repeat(40)}` }],
    ['with a NUL', { code: 'a\0' }],
  ]
  test.each(CHANGES)('is refused %s, and still good for its client', async (_, change) => {
    const attempt = authorization(client)
    const code = await obtainCode(url, alice, attempt)
    const { status, body } = await exchange(url, attempt, code, change)
    expect(status).toBe(400)
    expect(['invalid_grant', 'invalid_request']).toContain(body.error)
    expect(body.error_description).toEqual(expect.any(String))
    expect((await exchange(url, attempt, code)).status).toBe(200)
  })

  test('is refused to another client and to none', async () => {
    const attempt = authorization(client)
    const code = await obtainCode(url, alice, attempt)
    const stolen = await exchange(url, attempt, code, { client_id: other.clientId })
    expect([stolen.status, stolen.body.error]).toEqual([400, 'invalid_grant'])
    const unknown = await exchange(url, attempt, code, { client_id: 'unknown' })
    expect([unknown.status, unknown.body.error]).toEqual([401, 'invalid_client'])
    expect((await exchange(url, attempt, code)).status).toBe(200)
  })

  test('that comes again ends the session that it opened', async () => {
    const attempt = authorization(client, { scope: loginScope('CODEREUSED') })
    const code = await obtainCode(url, alice, attempt)
    const { body: tokens } = await exchange(url, attempt, code)
    expect(await statusOf(tokens.access_token)).toBe(200)
    // A client that has the code without its verifier ends nothing.
    await exchange(url, attempt, code, { code_verifier: 'b'.repeat(43) })
    expect(await statusOf(tokens.access_token)).toBe(200)
    const again = await exchange(url, attempt, code)
    expect([again.status, again.body.error]).toEqual([400, 'invalid_grant'])
    expect(await statusOf(tokens.access_token)).toBe(401)
    expect((await refreshOAuth(url, client, tokens.refresh_token)).body.error).toBe('invalid_grant')
    expect((await alice.ask('GET', `${v3}/devices/CODEREUSED`)).status).toBe(404)
  })

  test('that is exchanged many times at once opens at most one session', async () => {
    const attempt = authorization(client)
    const code = await obtainCode(url, alice, attempt)
    const answers = await times(6, () => exchange(url, attempt, code))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ body }) => body.error === 'invalid_grant')).toHaveLength(5)
    const { body } = answers.find(({ status }) => status === 200)!
    expect(await statusOf(body.access_token)).toBe(401)
  })

  test('ends with all sessions of its user', async () => {
    const user = await registerUser(url)
    const attempt = authorization(client)
    const code = await obtainCode(url, user, attempt)
    await user.post(`${v3}/logout/all`)
    expect(await exchange(url, attempt, code)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  test('of an account that was deactivated in the meantime is refused', async () => {
    const user = await registerUser(url)
    const attempt = authorization(client)
    const code = await obtainCode(url, user, attempt)
    const auth = { type: 'm.login.password', user: user.userId, password: 'correct horse battery' }
    await user.post(`${v3}/account/deactivate`, { auth })
    expect((await exchange(url, attempt, code)).body.error).toBe('invalid_grant')
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#token-refresh-flow */
describe('a refresh token', () => {
  test('returns the same tokens until they are used, also to requests at once', async () => {
    const first = await signInByOAuth(url, alice, { client })
    const answers = await times(6, () => refreshOAuth(url, client, first.refresh_token))
    for (const { status, body, headers } of answers) {
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(body).toEqual(answers[0]!.body)
    }
    expect(await statusOf(first.access_token)).toBe(200)
    expect(await statusOf(answers[0]!.body.access_token)).toBe(200)
    const late = await refreshOAuth(url, client, first.refresh_token)
    expect([late.status, late.body.error]).toEqual([400, 'invalid_grant'])
    expect(await statusOf(answers[0]!.body.access_token)).toBe(200)
    const expired = await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: first.access_token })
    expect(expired.body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })
  })

  test('that comes again after the next rotation ends the session', async () => {
    const first = await signInByOAuth(url, alice, { client })
    let newest = first
    for (let count = 0; count < 2; count++) {
      newest = (await refreshOAuth(url, client, newest.refresh_token)).body
      expect(await statusOf(newest.access_token)).toBe(200)
    }
    expect((await refreshOAuth(url, client, first.refresh_token)).body.error).toBe('invalid_grant')
    expect(await statusOf(newest.access_token)).toBe(401)
    expect((await refreshOAuth(url, client, newest.refresh_token)).body.error).toBe('invalid_grant')
  })

  test('is of no use to another client, nor to /refresh, and that of a login not here', async () => {
    const tokens = await signInByOAuth(url, alice, { client })
    expect((await refreshOAuth(url, other, tokens.refresh_token)).body.error).toBe('invalid_grant')
    const body = { refresh_token: tokens.refresh_token }
    const byLogin = await ask(url, { method: 'POST', path: `${v3}/refresh`, body })
    expect([byLogin.status, byLogin.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
    expect((await refreshOAuth(url, client, tokens.refresh_token)).status).toBe(200)
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice.userId } }
    const request = { ...login, password: 'correct horse battery', refresh_token: true }
    const { body: session } = await ask(url, { method: 'POST', path: `${v3}/login`, body: request })
    expect((await refreshOAuth(url, client, session.refresh_token)).body.error).toBe('invalid_grant')
    expect(await statusOf(session.access_token)).toBe(200)
  })

  test('of a locked user is refreshed, so that the client goes on once the user is unlocked', async () => {
    const boss = await registerAdmin(url, sharedSecret)
    const user = await registerUser(url)
    const tokens = await signInByOAuth(url, user, { client })
    const visitor = newVisitor(url)
    const consent = await openConsent(visitor, user, authorization(client))
    const lock = (locked: boolean) => boss.put(`/_matrix/client/v1/admin/lock/${user.userId}`, { locked })
    await lock(true)
    const { status, body } = await refreshOAuth(url, client, tokens.refresh_token)
    expect(status).toBe(200)
    const locked = await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: body.access_token })
    expect([locked.status, locked.body]).toEqual([401, expect.objectContaining({ errcode: 'M_USER_LOCKED' })])
    const refused = await visitor.submit(consent, {}, { do: 'allow' })
    expect([refused.status, refused.alert]).toEqual([403, expect.stringContaining('locked')])
    await lock(false)
    expect(await statusOf(body.access_token)).toBe(200)
    expect(replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')).toEqual(expect.any(String))
  })

  test.each(['', 'made up', 'hearth_refresh_x_y', 'a'.repeat(5000), '\0'])(
    'made up is refused: %.20s',
    async (token) => {
      const { status, body } = await refreshOAuth(url, client, token)
      expect([status, ['invalid_grant', 'invalid_request'].includes(body.error)]).toEqual([400, true])
    },
  )
})

describe('the token endpoint refuses', () => {
  const FORMS: [string, [string, string][], string][] = [
    ['nothing', [], 'invalid_request'],
    ['an unknown grant', [['grant_type', 'password']], 'unsupported_grant_type'],
    ['the name of a method', [['grant_type', 'constructor']], 'unsupported_grant_type'],
    ['no code', [['grant_type', 'authorization_code']], 'invalid_request'],
    [
      'a repeated field',
      [
        ['grant_type', 'refresh_token'],
        ['refresh_token', 'a'],
        ['refresh_token', 'b'],
      ],
      'invalid_request',
    ],
  ]
  test.each(FORMS)('%s', async (_, fields, error) => {
    const form: [string, string][] = [['client_id', client.clientId], ...fields]
    const { status, body, headers } = await askOAuth(url, '/oauth2/token', { form })
    expect([status, body.error]).toEqual([400, error])
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  test('JSON, a body that is too large, and GET', async () => {
    expect((await askOAuth(url, '/oauth2/token', { json: { grant_type: 'refresh_token' } })).body.error).toBe(
      'invalid_request',
    )
    const large = await askOAuth(url, '/oauth2/token', { form: { grant_type: 'x'.repeat(100_000) } })
    expect([large.status, large.body.error]).toEqual([413, 'invalid_request'])
    expect((await fetch(`${url}/oauth2/token`)).status).toBe(405)
  })
})

/** Errors that the client may learn of. */
describe('an authorization request tells its client of', () => {
  const CHANGES: [string, Record<string, string | undefined>, string][] = [
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['no response type', { response_type: undefined }, 'unsupported_response_type'],
    ['another response mode', { response_mode: 'form_post' }, 'invalid_request'],
    ['no challenge', { code_challenge: undefined }, 'invalid_request'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a challenge that is none', { code_challenge: 'short' }, 'invalid_request'],
    ['no scope', { scope: undefined }, 'invalid_scope'],
    ['an unknown scope', { scope: 'profile email' }, 'invalid_scope'],
    [
      'mixed scope names',
      { scope: `${API_SCOPE} urn:matrix:org.matrix.msc2967.client:device:ABCDEFGHIJ` },
      'invalid_scope',
    ],
    ['two devices', { scope: `${loginScope('ABCDEFGHIJ')} urn:matrix:client:device:ABCDEFGHIK` }, 'invalid_scope'],
    ['a short device id', { scope: loginScope('ABC') }, 'invalid_scope'],
    ['a device id with other characters', { scope: loginScope('ABCDEFGHI"<') }, 'invalid_scope'],
    ['a long device id', { scope: loginScope('A'.repeat(256)) }, 'invalid_scope'],
    ['a request object', { request: 'eyJ' }, 'request_not_supported'],
  ]
  test.each(CHANGES)('%s', async (_, change, error) => {
    const attempt = authorization(client, change)
    const page = await newVisitor(url).open(attempt.path)
    expect([page.status, page.headers.get('location')?.startsWith(`${client.redirectUri}?`)]).toEqual([303, true])
    expect([replyOf(page).get('error'), replyOf(page).get('state')]).toEqual([error, attempt.state])
  })

  test('a repeated parameter', async () => {
    const { path } = authorization(client)
    expect(replyOf(await newVisitor(url).open(`${path}&scope=openid`)).get('error')).toBe('invalid_request')
  })
})

/** Errors after which nothing must lead elsewhere. */
describe('an authorization request leads nowhere with', () => {
  const REDIRECTS = [
    'https://evil.example/callback',
    'https://app.example.org/callback/',
    'https://app.example.org/callback?more=1',
    'https://app.example.org/callback#fragment',
    'https://app.example.org:444/callback',
    'https://app.example.org@evil.example/callback',
    'https://evil.example\\@app.example.org/callback',
    'http://app.example.org/callback',
    'https://APP.example.org/callback',
    'https://app.example.org/callback/../callback',
    'javascript:alert(1)',
    '//app.example.org/callback',
    'https://app.example.org/callback\r\nSet-Cookie: a=b',
    '',
  ]
  test.each(REDIRECTS)('the redirect URI %j', async (redirect_uri) => {
    const page = await newVisitor(url).open(authorization(client, { redirect_uri }).path)
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
    expect(page.alert).toContain('not registered')
  })

  test.each(['', 'unknown', 'a'.repeat(43), '\0'])('the client %j', async (client_id) => {
    const page = await newVisitor(url).open(authorization(client, { client_id }).path)
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
  })

  test('parameters that are too long, of another client, or given twice', async () => {
    const visitor = newVisitor(url)
    expect((await visitor.open(authorization(client, { state: 's'.repeat(5000) }).path)).status).toBe(400)
    expect((await visitor.open(authorization(client, { client_id: other.clientId }).path)).status).toBe(400)
    const twice = await visitor.open(`${authorization(client).path}&redirect_uri=https%3A%2F%2Fevil.example%2F`)
    expect(new URL(twice.headers.get('location')!).origin).toBe('https://app.example.org')
    expect(replyOf(twice).get('error')).toBe('invalid_request')
  })
})

describe('the consent', () => {
  test('needs a form of this browser', async () => {
    const visitor = newVisitor(url)
    const consent = await openConsent(visitor, alice, authorization(client))
    const forged = await visitor.submit(consent, { csrf: 'forged' }, { do: 'allow' })
    expect([forged.status, forged.headers.get('location')]).toEqual([403, null])
    const mallory = newVisitor(url)
    await signIn(mallory, await registerUser(url))
    expect((await mallory.submit(consent, {}, { do: 'allow' })).status).toBe(403)
  })

  test('of an unknown or finished request is none', async () => {
    const visitor = newVisitor(url)
    const attempt = authorization(client)
    const consent = await openConsent(visitor, alice, attempt)
    const code = replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!
    await exchange(url, attempt, code)
    expect((await visitor.submit(consent, {}, { do: 'allow' })).status).toBe(404)
    for (const path of [consent.url.pathname, '/consent/unknown', '/consent/%00', `/consent/${'a'.repeat(100)}`])
      expect([400, 404]).toContain((await visitor.open(path)).status)
  })

  test('given twice leaves the last code', async () => {
    const visitor = newVisitor(url)
    const attempt = authorization(client)
    const consent = await openConsent(visitor, alice, attempt)
    const codes = []
    for (let count = 0; count < 2; count++)
      codes.push(replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!)
    expect((await exchange(url, attempt, codes[0]!)).body.error).toBe('invalid_grant')
    expect((await exchange(url, attempt, codes[1]!)).status).toBe(200)
  })
})
