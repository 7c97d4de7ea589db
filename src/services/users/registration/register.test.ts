import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadProfile } from '../../../storage/users/profiles.ts'
import { findUser } from '../../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import type { AuthData } from '../uia-stages.ts'
import { type RegistrationRequest, registerGuest, registerUser } from './register.ts'
import { isValidRegistrationToken } from './registration-token-validity.ts'

const password = 'correct horse'
let app: TestApp
afterEach(() => app.close())

function register(request: RegistrationRequest, auth?: AuthData) {
  return registerUser(app, { request: { password, ...request }, auth, operation: 'POST /register' })
}

async function addToken(token: string, limits: { uses?: number; expiresTs?: number } = {}): Promise<void> {
  await sql`insert into registration_tokens (token, uses_allowed, created_ts, expires_ts)
    values (${token}, ${limits.uses ?? null}, 1, ${limits.expiresTs ?? null})`.execute(app.database.sql)
}

describe('where registration needs a token', () => {
  beforeEach(async () => {
    app = await createTestApp({ config: { registration: { enabled: true, requires_token: true } } })
  })

  const withToken = (token: string) => ({ type: 'm.login.registration_token', token })

  test('that is the flow, and a dummy stage is not enough', async () => {
    const flows = [{ stages: ['m.login.registration_token'] }]
    await expect(register({ username: 'a' })).rejects.toMatchObject({ status: 401, extra: { flows } })
    await expect(register({ username: 'a' }, { type: 'm.login.dummy' })).rejects.toMatchObject({ status: 401 })
  })

  test('a token serves as often as it may', async () => {
    await addToken('twice', { uses: 2 })
    expect(await isValidRegistrationToken(app, 'twice')).toBe(true)
    await register({ username: 'a' }, withToken('twice'))
    await register({ username: 'b', inhibit_login: true }, withToken('twice'))
    expect(await isValidRegistrationToken(app, 'twice')).toBe(false)
    await expect(register({ username: 'c' }, withToken('twice'))).rejects.toMatchObject({ errcode: 'M_UNAUTHORIZED' })
    expect(await findUser(app.database, '@c:hearth.test' as never)).toBeUndefined()
  })

  test('of many at once, only as many as it may', async () => {
    await addToken('once', { uses: 1 })
    const attempts = ['a', 'b', 'c', 'd'].map((username) => register({ username }, withToken('once')))
    const results = await Promise.allSettled(attempts)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const { rows } = await sql`select 1 from users`.execute(app.database.sql)
    expect(rows).toHaveLength(1)
  })

  /** Starts a session with all stages complete. */
  async function sessionWith(username: string): Promise<string> {
    const error = await register({ username }).catch((thrown: { extra: { session: string } }) => thrown)
    return (error as { extra: { session: string } }).extra.session
  }

  test('a token that was used up while others authenticated with it lets nobody else in', async () => {
    await addToken('once', { uses: 1 })
    const names = ['a', 'b', 'c']
    const sessions = await Promise.all(names.map(sessionWith))
    const attempts = names.map((username, place) =>
      register({ username }, { ...withToken('once'), session: sessions[place] }),
    )
    const results = await Promise.allSettled(attempts)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    // The others can continue with their sessions, but not with this token.
    for (const [place, { status }] of results.entries()) {
      if (status === 'fulfilled') continue
      const again = register({ username: names[place]! }, { session: sessions[place] })
      await expect(again).rejects.toMatchObject({
        status: expect.toSatisfy((code: number) => code === 401 || code === 403),
      })
    }
    const { rows } = await sql`select 1 from users`.execute(app.database.sql)
    expect(rows).toHaveLength(1)
  })

  test('a registration that is repeated costs one use', async () => {
    await addToken('twice', { uses: 2 })
    const auth = { ...withToken('twice'), session: await sessionWith('a') }
    for (let time = 0; time < 4; time++)
      expect(await register({ username: 'a' }, auth)).toMatchObject({ user_id: '@a:hearth.test' })
    expect(await isValidRegistrationToken(app, 'twice')).toBe(true)
  })

  test('a failed registration costs no use', async () => {
    await addToken('once', { uses: 1 })
    await expect(register({ username: 'A B' }, withToken('once'))).rejects.toMatchObject({
      errcode: 'M_INVALID_USERNAME',
    })
    expect(await isValidRegistrationToken(app, 'once')).toBe(true)
  })

  test('tokens expire', async () => {
    await addToken('old', { expiresTs: app.clock.now() + 1000 })
    expect(await isValidRegistrationToken(app, 'old')).toBe(true)
    app.clock.advance(1000)
    expect(await isValidRegistrationToken(app, 'old')).toBe(false)
  })
})

describe('where registration is closed', () => {
  beforeEach(async () => {
    app = await createTestApp()
  })

  test('nobody registers, by whatever way', async () => {
    const forbidden = { status: 403, errcode: 'M_FORBIDDEN' }
    await expect(register({ username: 'a' }, { type: 'm.login.dummy' })).rejects.toMatchObject(forbidden)
    await expect(registerGuest(app, undefined)).rejects.toMatchObject(forbidden)
    await expect(isValidRegistrationToken(app, 'x')).rejects.toMatchObject(forbidden)
  })
})

describe('where registration is open', () => {
  beforeEach(async () => {
    app = await createTestApp({ config: { registration: { enabled: true, guests: true } } })
  })

  test('a new account is named after its localpart', async () => {
    const { user_id: userId } = await register({ username: 'Alice' }, { type: 'm.login.dummy' })
    expect(await loadProfile(app.database, userId)).toEqual({ displayname: 'alice' })
  })

  test('guests get an account without password', async () => {
    const { user_id: userId } = await registerGuest(app, 'Phone')
    expect(await findUser(app.database, userId)).toMatchObject({ is_guest: true, password_hash: null })
  })

  test('the password is not kept while authentication is under way', async () => {
    await register({ username: 'alice', password: 'visible secret' }).catch(() => {})
    const { rows } = await sql<{ text: string }>`select uia_sessions::text as text from uia_sessions`.execute(
      app.database.sql,
    )
    expect(rows).toHaveLength(1)
    expect(rows[0]!.text).not.toContain('visible secret')
  })
})
