import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { jwt as jwtSchema, readJwtKey } from '../../config/jwt.ts'
import type { MatrixError } from '../../core/errors.ts'
import { createJwtVerifier } from '../../infra/users/jwt-verifier.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { updateLocked } from '../../storage/users/users.ts'
import { createTestApp, START, type TestApp } from '../../testing/create-test-app.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { createUser } from './create-user.ts'
import { deactivateUser } from './deactivate.ts'
import { logInWithJwt } from './log-in-with-jwt.ts'
import { setProfileField } from './profile.ts'

const SECRET = 'a secret that only tests know, of more than 32 characters'
const NOW = START / 1000
const folder = mkdtempSync(join(tmpdir(), 'hearth-jwt-'))
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const elliptic = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const edwards = generateKeyPairSync('ed25519')
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string
const publicKeys = { rsa, elliptic, edwards }
const fileOf = (name: keyof typeof publicKeys) => join(folder, `${name}.pem`)

const ended: (() => Promise<void>)[] = []
beforeAll(() => {
  for (const name of ['rsa', 'elliptic', 'edwards'] as const)
    writeFileSync(fileOf(name), pem(publicKeys[name].publicKey))
})
afterAll(async () => {
  for (const end of ended) await end()
  rmSync(folder, { recursive: true })
})

type Keys = z.input<typeof jwtSchema>

const database = createTestDatabase()
/** An app with some configuration; all share one database. */
async function appWith(jwt: Keys): Promise<TestApp> {
  const clock = { now: () => START }
  const jwtVerifier = await createJwtVerifier(jwtSchema.parse(jwt), { clock, readKey: readJwtKey })
  const app = await createTestApp({ config: { jwt }, jwtVerifier, database: await database })
  ended.push(app.close)
  return app
}

const BY_SECRET: Keys = { algorithm: 'HS256', secret: SECRET }
type Key = KeyObject | Uint8Array
const sign = (claims: JWTPayload, algorithm = 'HS256', key: Key = Buffer.from(SECRET)) =>
  new SignJWT(claims).setProtectedHeader({ alg: algorithm }).sign(key)

const logIn = (app: TestApp, token: string) => logInWithJwt(app, { token, device: { wantsRefreshToken: false } })
const refusal = (app: TestApp, token: string) =>
  logIn(app, token).then(
    ({ user_id }) => user_id,
    (error: MatrixError) => [error.status, error.errcode],
  )
const INVALID = [403, 'M_FORBIDDEN']

test('creates the account at the first login, with a display name, and finds it at the next', async () => {
  const app = await appWith({ ...BY_SECRET, display_name_claim: 'name' })
  const first = await logIn(app, await sign({ sub: 'Jana', name: 'Jana Example' }))
  expect(first).toMatchObject({ user_id: '@jana:hearth.test', access_token: expect.any(String) })
  expect((await loadProfile(app.database, first.user_id)).displayname).toBe('Jana Example')
  expect((await logIn(app, await sign({ sub: 'jana', name: 'Other' }))).user_id).toBe('@jana:hearth.test')
  expect((await loadProfile(app.database, first.user_id)).displayname).toBe('Jana Example')
})

test.each<[string, string, string]>([
  ['with NUL', 'with-nul', 'a\0b'],
  ['with half a character', 'with-half', 'a\ud800b'],
])('takes a display name %s', async (_, sub, name) => {
  const app = await appWith({ ...BY_SECRET, display_name_claim: 'name' })
  const { user_id } = await logIn(app, await sign({ sub, name }))
  expect((await loadProfile(app.database, user_id)).displayname).toBe('a\ufffdb')
})

test('takes the part of a long display name that a profile can have', async () => {
  const app = await appWith({ ...BY_SECRET, display_name_claim: 'name' })
  const { user_id } = await logIn(app, await sign({ sub: 'long', name: `x${'😀'.repeat(200)}` }))
  const { displayname } = await loadProfile(app.database, user_id)
  expect(displayname).toBe(`x${'😀'.repeat(127)}`)
  await setProfileField(app, { userId: user_id, field: 'displayname', value: `${displayname}y` })
})

test('creates one account for two first logins at the same time', async () => {
  const app = await appWith(BY_SECRET)
  const token = await sign({ sub: 'twice' })
  const both = await Promise.all([logIn(app, token), logIn(app, token)])
  expect(both.map(({ user_id }) => user_id)).toEqual(['@twice:hearth.test', '@twice:hearth.test'])
})

test('creates no account if the configuration says so', async () => {
  const app = await appWith({ ...BY_SECRET, new_accounts: false })
  expect(await refusal(app, await sign({ sub: 'newcomer' }))).toEqual(INVALID)
  await createUser(app, { localpart: 'known' })
  expect(await refusal(app, await sign({ sub: 'known' }))).toBe('@known:hearth.test')
})

test('refuses locked and deactivated accounts', async () => {
  const app = await appWith(BY_SECRET)
  const locked = await createUser(app, { localpart: 'locked' })
  await app.database.write((tx) => updateLocked(tx, locked, 1))
  expect(await refusal(app, await sign({ sub: 'locked' }))).toEqual([401, 'M_USER_LOCKED'])
  const gone = await createUser(app, { localpart: 'gone' })
  await deactivateUser(app, { userId: gone, erase: false })
  expect(await refusal(app, await sign({ sub: 'gone' }))).toEqual(INVALID)
})

test('reads another claim, and checks issuer and audience', async () => {
  const app = await appWith({ ...BY_SECRET, subject_claim: 'login', issuer: 'portal', audiences: ['chat', 'talk'] })
  const good = { login: 'karl', iss: 'portal', aud: 'talk' }
  expect(await refusal(app, await sign(good))).toBe('@karl:hearth.test')
  expect(await refusal(app, await sign({ ...good, aud: ['mail', 'chat'] }))).toBe('@karl:hearth.test')
  for (const wrong of [
    { ...good, iss: 'other' },
    { ...good, iss: undefined as never },
    { ...good, aud: 'mail' },
    { ...good, aud: undefined as never },
    { ...good, login: 7 },
    { sub: 'karl', iss: 'portal', aud: 'talk' },
  ])
    expect(await refusal(app, await sign(wrong)), JSON.stringify(wrong)).toEqual(INVALID)
})

test('says what is wrong with a token', async () => {
  const app = await appWith({ ...BY_SECRET, audiences: ['chat'] })
  const good = { sub: 'karl', aud: 'chat' }
  await expect(logIn(app, await sign({ ...good, exp: NOW - 60 }))).rejects.toThrow(/^The JWT is invalid: .*"exp"/)
  await expect(logIn(app, await sign({ ...good, aud: 'mail' }))).rejects.toThrow(/^The JWT is invalid: .*"aud"/)
  const other = await sign({ ...good, aud: 'mail' }, 'HS256', Buffer.from(SECRET.toUpperCase()))
  await expect(logIn(app, other)).rejects.toThrow('The JWT is invalid: signature verification failed')
})

describe('of a token', () => {
  test.each<[string, JWTPayload, unknown]>([
    ['expired long ago', { exp: NOW - 60 }, INVALID],
    ['expired within the tolerance', { exp: NOW - 3 }, '@time:hearth.test'],
    ['valid for a minute', { exp: NOW + 60 }, '@time:hearth.test'],
    ['not valid yet', { nbf: NOW + 60 }, INVALID],
    ['valid since a minute', { nbf: NOW - 60 }, '@time:hearth.test'],
    ['with a time that is no number', { exp: 'never' as never }, INVALID],
    ['for an audience, although none is configured', { aud: 'chat' }, INVALID],
  ])('%s', async (_, claims, outcome) => {
    expect(await refusal(await appWith(BY_SECRET), await sign({ sub: 'time', ...claims }))).toEqual(outcome)
  })

  test.each<[string, JWTPayload['sub'], unknown]>([
    ['a user ID of this server', '@sub:hearth.test', '@sub:hearth.test'],
    ['a user ID of another server', '@sub:elsewhere.test', [400, 'M_INVALID_USERNAME']],
    ['blanks', 'a b', [400, 'M_INVALID_USERNAME']],
    ['nothing', '', [400, 'M_INVALID_USERNAME']],
    ['NUL', 'a\0', [400, 'M_INVALID_USERNAME']],
  ])('whose subject is %s', async (_, sub, outcome) => {
    const app = await appWith(BY_SECRET)
    if (sub?.startsWith('@sub:h')) await createUser(app, { localpart: 'sub' })
    expect(await refusal(app, await sign({ sub: sub! }))).toEqual(outcome)
  })
})

describe('signatures', () => {
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const unsigned = (header: object, claims: object) => `${base64(header)}.${base64(claims)}.`

  test.each<[string, Keys, Key, string]>([
    ['RS256', { algorithm: 'RS256', public_key: fileOf('rsa') }, rsa.privateKey, 'RS256'],
    ['PS512', { algorithm: 'PS512', public_key: fileOf('rsa') }, rsa.privateKey, 'PS512'],
    ['ES256', { algorithm: 'ES256', public_key: fileOf('elliptic') }, elliptic.privateKey, 'ES256'],
    ['EdDSA', { algorithm: 'EdDSA', public_key: fileOf('edwards') }, edwards.privateKey, 'EdDSA'],
    ['HS512', { algorithm: 'HS512', secret: SECRET.repeat(2) }, Buffer.from(SECRET.repeat(2)), 'HS512'],
  ])('of %s are verified', async (_, keys, key, algorithm) => {
    const app = await appWith(keys)
    const token = await sign({ sub: 'signed' }, algorithm, key)
    expect(await refusal(app, token)).toBe('@signed:hearth.test')
    const [header, , signature] = token.split('.')
    expect(await refusal(app, [header, base64({ sub: 'victim' }), signature].join('.'))).toEqual(INVALID)
  })

  test('by another algorithm, another key or none are refused', async () => {
    const app = await appWith({ algorithm: 'RS256', public_key: fileOf('rsa') })
    const claims = { sub: 'victim' }
    const publicKey = pem(rsa.publicKey)
    const header = base64({ alg: 'HS256' })
    const macInput = `${header}.${base64(claims)}`
    const withPublicKeyAsSecret = `${macInput}.${createHmac('sha256', publicKey).update(macInput).digest('base64url')}`
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
    for (const token of [
      withPublicKeyAsSecret,
      unsigned({ alg: 'none' }, claims),
      unsigned({ alg: 'NONE' }, claims),
      unsigned({}, claims),
      await sign(claims, 'HS256', Buffer.from(publicKey)),
      await sign(claims, 'PS256', rsa.privateKey),
      await sign(claims, 'RS512', rsa.privateKey),
      await sign(claims, 'RS256', other.privateKey),
      await sign(claims, 'ES256', elliptic.privateKey),
      await new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', jwk: other.publicKey.export({ format: 'jwk' }) as never })
        .sign(other.privateKey),
      '',
      '.',
      '..',
      'a.b.c',
      'x'.repeat(1_000_000),
    ])
      expect(await refusal(app, token), token.slice(0, 100)).toEqual(INVALID)
  })

  test('without a configured algorithm are refused as an unsupported login', async () => {
    expect(await refusal(await appWith({}), await sign({ sub: 'nobody' }))).toEqual([400, 'M_UNKNOWN'])
  })
})

test.each<[string, Keys, RegExp]>([
  ['a secret that is too short', { algorithm: 'HS256', secret: 'short' }, /at least 32 characters/],
  ['no secret', { algorithm: 'HS256', public_key: fileOf('rsa') }, /is missing/],
  ['no public key', { algorithm: 'ES256', secret: SECRET }, /is missing/],
  ['a key of another type', { algorithm: 'ES256', public_key: fileOf('rsa') }, /type rsa, which ES256 does not use/],
  ['a key of another curve', { algorithm: 'ES384', public_key: fileOf('elliptic') }, /type ec prime256v1/],
  ['no file', { algorithm: 'ES384', public_key: join(folder, 'none') }, /no such file/],
])('the configuration has %s', (_, keys, message) => {
  expect(() => readJwtKey(jwtSchema.parse(keys))).toThrow(message)
})
