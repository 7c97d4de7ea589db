import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CredentialOptions, createAuthenticator, type Deviation } from '../../../testing/authenticator.ts'
import type { UserId } from '../../core/ids.ts'
import type { PasskeyRow } from '../../storage/schema/sign-in.ts'
import { loadPasskeys } from '../../storage/sign-in/passkeys.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import {
  addPasskey,
  findRelyingParty,
  newPasskeyOptions,
  passkeyUseOptions,
  provePasskey,
  removePasskey,
} from './passkeys.ts'

const origin = 'https://matrix.hearth.test'
const cookie = 'cookie of a browser'
let app: TestApp
let userId: UserId
let users = 0

beforeAll(async () => {
  app = await createTestApp({ config: { public_base_url: origin } })
})
afterAll(() => app.close())
beforeEach(async () => {
  userId = await createUser(app, { localpart: `user${users++}` })
})

type Authenticator = ReturnType<typeof createAuthenticator>

async function add(device: Authenticator, deviation?: Deviation) {
  const options = (await newPasskeyOptions(app, { userId, cookie })) as CredentialOptions
  return addPasskey(app, { userId, cookie, answer: device.create(options, deviation), name: 'Key' })
}

async function signIn(device: Authenticator, deviation?: Deviation): Promise<UserId> {
  const options = (await passkeyUseOptions(app, { cookie })) as CredentialOptions
  return use({ cookie, answer: device.get(options, deviation) })
}

async function use(answer: { cookie: string; userId?: UserId; answer: string }): Promise<UserId> {
  const proof = await provePasskey(app, answer)
  await app.database.write((tx) => proof.consume(tx))
  return proof.userId
}

async function withPasskey({ counts = false } = {}): Promise<Authenticator> {
  const device = createAuthenticator({ origin, counts })
  await add(device)
  return device
}

test('a passkey is added, with recovery codes the first time, and signs in', async () => {
  const device = createAuthenticator({ origin })
  expect((await add(device)).recoveryCodes).toHaveLength(10)
  expect((await add(createAuthenticator({ origin }))).recoveryCodes).toBeUndefined()
  expect(await signIn(device)).toBe(userId)
  expect((await loadPasskeys(app.database, userId)).map(({ last_used_ts }) => last_used_ts)).toEqual(
    expect.arrayContaining([app.clock.now(), null]),
  )
})

test('a browser offers no passkey a second time', async () => {
  await withPasskey()
  const [{ credential_id }] = (await loadPasskeys(app.database, userId)) as [PasskeyRow]
  const { excludeCredentials } = await newPasskeyOptions(app, { userId, cookie })
  expect(excludeCredentials).toEqual([{ type: 'public-key', id: credential_id, transports: ['internal'] }])
})

test('an answer is good once, also at the same time', async () => {
  const device = await withPasskey()
  const options = (await passkeyUseOptions(app, { cookie })) as CredentialOptions
  const answer = device.get(options)
  const results = await Promise.allSettled([use({ cookie, answer }), use({ cookie, answer })])
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  await expect(use({ cookie, answer })).rejects.toMatchObject({ status: 403 })
  const again = device.get(options)
  await expect(use({ cookie, answer: again }), 'another answer to the same challenge').rejects.toThrow()
})

test('an answer is good for its browser, its purpose and an hour', async () => {
  const device = await withPasskey()
  const options = (await passkeyUseOptions(app, { cookie })) as CredentialOptions
  const answer = device.get(options)
  await expect(use({ cookie: 'another', answer })).rejects.toMatchObject({ status: 403 })
  await expect(use({ cookie, userId, answer })).rejects.toMatchObject({ status: 403 })
  app.clock.advance(60 * 60_000)
  await expect(use({ cookie, answer })).rejects.toMatchObject({ status: 403 })
})

describe('refused is a sign-in', () => {
  const deviations: [string, Deviation][] = [
    ['on a page of another origin', { origin: 'https://hearth.test' }],
    ['for another party', { rpId: 'hearth.test' }],
    ['without verification of the user', { verifiesUser: false }],
    ['with the answer to another question', { type: 'webauthn.create' }],
    ['with the handle of another user', { userHandle: 'AAAA' }],
  ]
  test.each(deviations)('%s', async (_, deviation) => {
    const device = await withPasskey()
    await expect(signIn(device, deviation)).rejects.toMatchObject({ status: 403 })
    expect(await signIn(device)).toBe(userId)
  })

  test('with a counter that does not grow, as of a copied authenticator', async () => {
    const device = await withPasskey({ counts: true })
    expect(await signIn(device)).toBe(userId)
    await app.database.write((tx) => tx.sql.updateTable('passkeys').set({ counter: 5 }).execute())
    await expect(signIn(device)).rejects.toMatchObject({ status: 403 })
  })

  test('with another key for a known id', async () => {
    const device = await withPasskey()
    await app.database.write((tx) =>
      tx.sql.updateTable('passkeys').set({ public_key: 'AAAA' }).where('user_id', '=', userId).execute(),
    )
    await expect(signIn(device)).rejects.toMatchObject({ status: 403 })
  })

  test.each(['', 'null', '{}', '{"id":"a"}', 'x'.repeat(100)])('with the text %s', async (answer) => {
    await expect(provePasskey(app, { cookie, answer })).rejects.toMatchObject({ status: 403 })
  })

  test('with a removed passkey', async () => {
    const device = await withPasskey()
    const [{ credential_id: credentialId }] = (await loadPasskeys(app.database, userId)) as [PasskeyRow]
    const options = (await passkeyUseOptions(app, { cookie })) as CredentialOptions
    const proof = await provePasskey(app, { cookie, answer: device.get(options) })
    await removePasskey(app, { userId, credentialId })
    await expect(app.database.write((tx) => proof.consume(tx))).rejects.toMatchObject({ status: 403 })
    await expect(signIn(device)).rejects.toMatchObject({ status: 403 })
  })
})

test('as second factor, a passkey needs no verification of the user, and must be of that user', async () => {
  const device = await withPasskey()
  const options = async () => (await passkeyUseOptions(app, { cookie, userId })) as CredentialOptions
  expect(await use({ cookie, userId, answer: device.get(await options(), { verifiesUser: false }) })).toBe(userId)
  const other = await createUser(app, { localpart: `user${users++}` })
  expect(await passkeyUseOptions(app, { cookie, userId: other })).toBeUndefined()
  const answer = device.get(await options())
  await expect(use({ cookie, userId: other, answer })).rejects.toMatchObject({ status: 403 })
})

test('refused is a new passkey of another origin, party or browser', async () => {
  const device = createAuthenticator({ origin })
  await expect(add(device, { origin: 'https://hearth.test' })).rejects.toMatchObject({ status: 403 })
  await expect(add(device, { rpId: 'hearth.test' })).rejects.toMatchObject({ status: 403 })
  const options = (await newPasskeyOptions(app, { userId, cookie })) as CredentialOptions
  const answer = device.create(options)
  await expect(addPasskey(app, { userId, cookie: 'another', answer, name: '' })).rejects.toMatchObject({ status: 403 })
  await addPasskey(app, { userId, cookie, answer, name: '' })
  await expect(addPasskey(app, { userId, cookie, answer, name: '' })).rejects.toMatchObject({ status: 403 })
})

test.each([
  ['https://matrix.example.org', { id: 'matrix.example.org', origin: 'https://matrix.example.org' }],
  ['https://example.org:8448/matrix', { id: 'example.org', origin: 'https://example.org:8448' }],
  ['http://localhost:8008', { id: 'localhost', origin: 'http://localhost:8008' }],
  ['http://example.org', undefined],
  ['https://192.0.2.1', undefined],
  ['https://[2001:db8::1]', undefined],
])('passkeys of %s', (public_base_url, party) => {
  expect(findRelyingParty({ public_base_url })).toEqual(party)
})
