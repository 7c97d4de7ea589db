import { describe, expect, inject, test } from 'vitest'
import { registerUser } from '../harness/client.ts'
import {
  askOAuth,
  authorization,
  exchange,
  obtainCode,
  openConsent,
  registerClient,
  replyOf,
  webClient,
} from '../harness/oauth-client.ts'
import { newVisitor } from '../harness/page-visitor.ts'

const { url } = inject('homeserver')

const register = (json: unknown) => askOAuth(url, '/oauth2/register', { json })

/** https://spec.matrix.org/v1.19/client-server-api/#client-registration */
describe('registering a client', () => {
  test('answers with what is stored, and the same client for the same metadata', async () => {
    const asked = {
      ...webClient('stored.example.org'),
      logo_uri: 'https://stored.example.org/logo.png',
      tos_uri: 'https://www.stored.example.org/terms',
      grant_types: ['authorization_code', 'refresh_token', 'implicit', 'urn:ietf:params:oauth:grant-type:device_code'],
      id_token_signed_response_alg: 'ES256',
      'client_name#de': 'Ein Client',
      made_up: { a: 1 },
    }
    const { status, body, headers } = await register(asked)
    expect([status, headers.get('content-type')]).toEqual([201, 'application/json'])
    const { grant_types, 'client_name#de': _, made_up, ...kept } = asked
    expect(body).toEqual({
      ...kept,
      client_id: expect.any(String),
      grant_types: grant_types.filter((type) => type !== 'implicit'),
      id_token_signed_response_alg: 'RS256',
    })
    const again = await register({ ...asked, made_up: 'changed' })
    expect(again.body).toEqual(body)
    expect((await register({ ...asked, client_name: 'Another' })).body.client_id).not.toBe(body.client_id)
  })

  test('needs only the host and a redirect', async () => {
    const { status, body } = await register({
      client_uri: 'https://least.example.org',
      redirect_uris: ['https://least.example.org/'],
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      application_type: 'web',
      token_endpoint_auth_method: 'none',
      response_types: ['code'],
      grant_types: expect.arrayContaining(['authorization_code', 'refresh_token']),
    })
  })

  const native = (client_uri: string, ...redirect_uris: string[]) => ({
    client_uri,
    redirect_uris,
    application_type: 'native',
  })
  const CLIENTS: [string, object][] = [
    ['Element X Android', native('https://element.io/apps/android', 'io.element.android:/')],
    ['Element X iOS', native('https://element.io', 'https://element.io/oauth/ios/io.element.elementx')],
    ['FluffyChat on phones', native('https://fluffychat.im', 'im.fluffychat:/login')],
    ['FluffyChat on desktops', native('https://fluffychat.im', 'http://localhost:3001/login')],
    ['an older app', native('https://app.example.org', 'org.example.app://callback')],
    ['a program without port', native('https://example.org', 'http://127.0.0.1/cb', 'http://[::1]/cb')],
    ['a page with port and query', { client_uri: 'https://a.org', redirect_uris: ['https://x.a.org:8443/?next=1'] }],
    [
      'a device',
      { ...native('https://tv.example.org'), grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] },
    ],
  ]
  test.each(CLIENTS)('admits %s', async (_, metadata) => {
    expect(await register(metadata)).toMatchObject({ status: 201, body: metadata })
  })

  const web = (redirect: string) => ({ client_uri: 'https://app.example.org', redirect_uris: [redirect] })
  const REFUSED: [string, unknown, string][] = [
    ['no metadata', {}, 'invalid_client_metadata'],
    ['a list', [], 'invalid_client_metadata'],
    ['no client_uri', { redirect_uris: ['https://a.org/'] }, 'invalid_client_metadata'],
    ['client_uri over http', { ...webClient(), client_uri: 'http://app.example.org/' }, 'invalid_client_metadata'],
    ['client_uri on localhost', native('http://localhost:8080', 'http://localhost/'), 'invalid_client_metadata'],
    [
      'client_uri with a password',
      { ...webClient(), client_uri: 'https://a:b@app.example.org/' },
      'invalid_client_metadata',
    ],
    ['a client_uri that is none', { ...webClient(), client_uri: 'app.example.org' }, 'invalid_client_metadata'],
    ['a logo elsewhere', { ...webClient(), logo_uri: 'https://evil.example/a.png' }, 'invalid_client_metadata'],
    ['terms over http', { ...webClient(), tos_uri: 'http://app.example.org/' }, 'invalid_client_metadata'],
    ['a script as policy', { ...webClient(), policy_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
    ['a name of another type', { ...webClient(), client_name: 7 }, 'invalid_client_metadata'],
    ['another response type', { ...webClient(), response_types: ['token'] }, 'invalid_client_metadata'],
    ['another type', { ...webClient(), application_type: 'desktop' }, 'invalid_client_metadata'],
    ['no redirect', { client_uri: 'https://a.org' }, 'invalid_redirect_uri'],
    ['a redirect elsewhere', web('https://evil.example/'), 'invalid_redirect_uri'],
    ['a host that ends alike', web('https://evilapp.example.org/'), 'invalid_redirect_uri'],
    ['the parent host', web('https://example.org/'), 'invalid_redirect_uri'],
    ['a redirect over http', web('http://app.example.org/'), 'invalid_redirect_uri'],
    ['a fragment', web('https://app.example.org/#a'), 'invalid_redirect_uri'],
    ['a user in the redirect', web('https://app.example.org@evil.example/'), 'invalid_redirect_uri'],
    ['a backslash', web('https://evil.example\\.app.example.org/'), 'invalid_redirect_uri'],
    ['a script', web('javascript:alert(1)'), 'invalid_redirect_uri'],
    ['no slashes', web('https:app.example.org/cb'), 'invalid_redirect_uri'],
    ['three slashes', web('https:///app.example.org/cb'), 'invalid_redirect_uri'],
    ['localhost for a web client', web('http://localhost/cb'), 'invalid_redirect_uri'],
    ['a private scheme for a web client', web('org.example.app:/cb'), 'invalid_redirect_uri'],
    ['a scheme of another host', native('https://app.example.org', 'org.evil:/cb'), 'invalid_redirect_uri'],
    ['a scheme without a dot', native('https://example', 'example:/cb'), 'invalid_redirect_uri'],
    ['a script of a native client', native('https://app.example.org', 'javascript:alert(1)'), 'invalid_redirect_uri'],
    ['another machine', native('https://app.example.org', 'http://127.0.0.2/cb'), 'invalid_redirect_uri'],
    [
      'a list of many',
      { ...webClient(), redirect_uris: Array(60).fill('https://app.example.org/') },
      'invalid_client_metadata',
    ],
    ['a long redirect', web(`https://app.example.org/${'a'.repeat(2048)}`), 'invalid_client_metadata'],
    [
      'metadata that are too large',
      {
        ...webClient(),
        redirect_uris: Array.from({ length: 40 }, (_, i) => `https://app.example.org/${i}${'a'.repeat(900)}`),
      },
      'invalid_client_metadata',
    ],
  ]
  test.each(REFUSED)('refuses %s', async (_, metadata, error) => {
    const { status, body } = await register(metadata)
    expect([status, body.error]).toEqual([400, error])
    expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
  })

  test('refuses what is not JSON', async () => {
    const response = await fetch(`${url}/oauth2/register`, { method: 'POST', body: '{' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_request' })
  })
})

/** https://www.rfc-editor.org/rfc/rfc8252#section-7.3 */
describe('a native client', () => {
  test('on this machine may listen on any port, and on the same path', async () => {
    const alice = await registerUser(url)
    const metadata = {
      ...webClient('program.example.org'),
      application_type: 'native',
      redirect_uris: ['http://localhost:3001/login'] as [string],
    }
    const client = await registerClient(url, metadata)
    const here = { ...client, redirectUri: 'http://localhost:49152/login' }
    const attempt = authorization(here)
    expect((await exchange(url, attempt, await obtainCode(url, alice, attempt))).status).toBe(200)
    for (const redirectUri of ['http://localhost/other', 'http://127.0.0.1:3001/login', 'https://localhost:3001/login'])
      expect((await newVisitor(url).open(authorization({ ...client, redirectUri }).path)).status).toBe(400)
  })

  test('with a private scheme gets its answer there', async () => {
    const alice = await registerUser(url)
    const metadata = {
      ...webClient('element.example.org'),
      application_type: 'native',
      redirect_uris: ['org.example.element.android:/'] as [string],
    }
    const attempt = authorization(await registerClient(url, metadata))
    const visitor = newVisitor(url)
    const consent = await openConsent(visitor, alice, attempt)
    expect(consent.headers.get('content-security-policy')).toContain("form-action 'self' org.example.element.android:;")
    const page = await visitor.submit(consent, {}, { do: 'allow' })
    expect(page.headers.get('location')).toMatch(/^org\.example\.element\.android:\/\?code=/)
    expect((await exchange(url, attempt, replyOf(page).get('code')!)).status).toBe(200)
  })
})
