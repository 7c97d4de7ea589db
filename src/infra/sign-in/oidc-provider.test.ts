import { beforeEach, describe, expect, test } from 'vitest'
import { defaultConfig, type OidcProviderConfig } from '../../config.ts'
import { fixedClock } from '../clock.ts'
import { createOidcProvider } from './oidc-provider.ts'

const issuer = 'https://id.example.org'
const [config] = defaultConfig({
  identity_providers: [{ kind: 'oidc', id: 'company', name: 'Company', issuer, client_id: 'hearth' }],
}).identity_providers as [OidcProviderConfig]
const REQUEST = {
  callback: 'https://hearth.test/callback',
  state: 's',
  nonce: 'n',
  codeVerifier: 'v'.repeat(64),
  againSinceTs: null,
}

let asked: string[]
let answer: () => Response
beforeEach(() => {
  asked = []
  answer = () => metadata()
})

const metadata = (more: object = {}) =>
  Response.json({
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    ...more,
  })

function create() {
  const clock = fixedClock(0)
  const fetch = async (url: string) => {
    asked.push(url)
    return answer()
  }
  const provider = createOidcProvider(config, { fetch, clock })
  return { clock, start: () => provider.authorizationUrl(REQUEST) }
}

describe('the metadata of a provider', () => {
  test('is fetched at the first sign-in, and once for several', async () => {
    const { start } = create()
    expect(asked).toEqual([])
    const urls = await Promise.all([start(), start(), start()])
    expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`])
    const { searchParams } = new URL(urls[0]!)
    expect(Object.fromEntries(searchParams)).toMatchObject({
      client_id: 'hearth',
      response_type: 'code',
      redirect_uri: REQUEST.callback,
      scope: 'openid profile email',
      state: 's',
      nonce: 'n',
      code_challenge_method: 'S256',
    })
    expect(searchParams.get('code_challenge')).not.toContain('v'.repeat(10))
  })

  test('is fetched again after an hour, and kept if the provider does not answer then', async () => {
    const { start, clock } = create()
    await start()
    clock.advance(60 * 60_000 - 1)
    await start()
    expect(asked).toHaveLength(1)
    clock.advance(1)
    answer = () => new Response('out of order', { status: 503 })
    expect(await start()).toMatch(`${issuer}/auth?`)
    expect(asked).toHaveLength(2)
    answer = () => metadata({ authorization_endpoint: `${issuer}/new` })
    expect(await start()).toMatch(`${issuer}/new?`)
  })

  test.each([
    ['unreachable', () => new Response('', { status: 503 })],
    ['unreachable', () => new Response('', { status: 429 })],
    [
      'unreachable',
      () => {
        throw new TypeError('no answer')
      },
    ],
    ['misconfigured', () => new Response('', { status: 404 })],
    ['misconfigured', () => metadata({ issuer: 'https://evil.example' })],
    ['invalid', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['invalid', () => Response.json([])],
  ] as const)('is %s when it should be, and fetched again the next time', async (fault, fail) => {
    const { start } = create()
    answer = fail
    await expect(start()).rejects.toMatchObject({ name: 'UpstreamError', fault })
    answer = () => metadata()
    expect(await start()).toMatch(`${issuer}/auth?`)
  })
})
