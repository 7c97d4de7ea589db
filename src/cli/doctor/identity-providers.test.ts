import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../../testing/free-port.ts'
import { type Config, defaultConfig } from '../../config.ts'
import { checkIdentityProviders } from './identity-providers.ts'

const server = createServer(({ url }, response) => {
  if (url === '/realm/.well-known/openid-configuration') response.end(JSON.stringify({ issuer: `${base}/realm` }))
  else if (url === '/moved/.well-known/openid-configuration') response.end(JSON.stringify({ issuer: `${base}/realm` }))
  else if (url === '/cas/login') response.end('Sign in')
  else response.writeHead(404).end()
})
let base = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => void server.close())

const NAMED = { id: 'company', name: 'Example company' }

async function check(provider: object) {
  const identity_providers = [{ ...NAMED, ...provider }] as Config['identity_providers']
  return (await checkIdentityProviders({ ...defaultConfig(), identity_providers }))[0]
}

test('a provider that answers is good', async () => {
  expect(await check({ kind: 'oidc', issuer: `${base}/realm` })).toMatchObject({ level: 'good' })
  expect(await check({ kind: 'cas', server_url: `${base}/cas` })).toMatchObject({ level: 'good' })
})

test.each([
  ['no provider at the issuer', async () => ({ kind: 'oidc', issuer: `${base}/nowhere` }), 'it answers 404'],
  [
    'nothing at the issuer',
    async () => ({ kind: 'oidc', issuer: `http://127.0.0.1:${await freePort()}` }),
    'ECONNREFUSED',
  ],
  ['another issuer', async () => ({ kind: 'oidc', issuer: `${base}/moved` }), '/realm, not '],
  ['no CAS server', async () => ({ kind: 'cas', server_url: `${base}/nowhere` }), '/nowhere/login: it answers 404'],
])('%s is a problem', async (_, provider, why) => {
  const found = await check(await provider())
  expect(found).toMatchObject({ level: 'problem' })
  expect(JSON.stringify(found)).toContain(why)
})
