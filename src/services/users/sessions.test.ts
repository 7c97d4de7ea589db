import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MatrixError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findDevice } from '../../storage/devices/devices.ts'
import { RETIREMENT_MS } from '../../storage/users/refresh-tokens.ts'
import { updateLocked, updateSuspended } from '../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import { logInWithPassword } from './log-in.ts'
import { refreshTokens } from './refresh.ts'
import { findSession } from './sessions.ts'

const password = 'correct horse'
const from = { ip: '192.0.2.1', userAgent: 'test' }
let app: TestApp
let userId: UserId
let made = 0

beforeAll(async () => {
  app = await createTestApp({ config: { sessions: { access_token_lifetime: '5m' } } })
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.close())

function refresh(refreshToken: string) {
  return refreshTokens(app, { refreshToken, clientId: null })
}

function logIn(wantsRefreshToken = false) {
  const device = { deviceId: `D${++made}` as DeviceId, wantsRefreshToken }
  return logInWithPassword(app, { identifier: { user: 'alice' }, password, device })
}

test('says who holds a token', async () => {
  const login = await logIn()
  expect(await findSession(app, { accessToken: login.access_token, ...from })).toMatchObject({
    userId,
    deviceId: login.device_id,
    isAdmin: false,
    isGuest: false,
    isLocked: false,
    isSuspended: false,
  })
})

test('says whether the user is locked or suspended', async () => {
  const { access_token: accessToken } = await logIn()
  await app.database.write(async (tx) => {
    await updateLocked(tx, userId, 1)
    await updateSuspended(tx, userId, true)
  })
  expect(await findSession(app, { accessToken, ...from })).toMatchObject({ isLocked: true, isSuspended: true })
  await app.database.write(async (tx) => {
    await updateLocked(tx, userId, null)
    await updateSuspended(tx, userId, false)
  })
})

test('an unknown token is no soft logout, an expired one is', async () => {
  const unknown = findSession(app, { accessToken: 'none', ...from })
  await expect(unknown).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', extra: { soft_logout: false } })
  const first = await logIn(true)
  expect(first.expires_in_ms).toBe(300_000)
  app.clock.advance(300_000)
  const expired = findSession(app, { accessToken: first.access_token, ...from })
  await expect(expired).rejects.toMatchObject({ status: 401, extra: { soft_logout: true } })
  const second = await refresh(first.refresh_token!)
  expect((await findSession(app, { accessToken: second.access_token, ...from })).deviceId).toBe(first.device_id)
})

test('tokens are not in the database, only their hashes', async () => {
  const login = await logIn(true)
  const { rows } = await sql<{ text: string }>`select access_tokens::text as text from access_tokens
    union all select refresh_tokens::text from refresh_tokens`.execute(app.database.sql)
  const all = rows.map(({ text }) => text).join()
  expect(all).toContain(login.device_id)
  expect(all).not.toContain(login.access_token)
  expect(all).not.toContain(login.refresh_token)
})

test('notes where a device was seen, but not with every request', async () => {
  const { access_token: accessToken, device_id: deviceId } = await logIn()
  const seen = async () => (await findDevice(app.database, { userId, deviceId }))?.last_seen_ip
  await findSession(app, { accessToken, ip: '192.0.2.1', userAgent: 'a' })
  await expect.poll(seen).toBe('192.0.2.1')
  app.clock.advance(60_000)
  await findSession(app, { accessToken, ip: '192.0.2.2', userAgent: 'a' })
  await app.database.write(async () => {})
  expect(await seen()).toBe('192.0.2.1')
  app.clock.advance(180_000)
  await findSession(app, { accessToken, ip: '192.0.2.3', userAgent: 'a' })
  await expect.poll(seen).toBe('192.0.2.3')
})

/** https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens */
describe('a refresh token that comes again', () => {
  const statusOf = (accessToken: string) =>
    findSession(app, { accessToken, ...from }).then(
      () => 'works',
      (error: MatrixError) => (error.extra.soft_logout ? 'soft logout' : 'unknown'),
    )
  const refusal = (refreshToken: string | undefined) =>
    refresh(refreshToken!).then(
      () => 'issues tokens',
      (error: MatrixError) => (error.extra.soft_logout ? 'soft logout' : 'unknown'),
    )

  /** Creates a session whose first token pair was replaced; its newest pair is in use. */
  async function rotated() {
    const first = await logIn(true)
    const second = await refresh(first.refresh_token!)
    expect(await statusOf(second.access_token)).toBe('works')
    return { first, second }
  }

  test('before the new tokens are used: issues the same tokens', async () => {
    const first = await logIn(true)
    const lost = await refresh(first.refresh_token!)
    app.clock.advance(3_600_000)
    const second = await refresh(first.refresh_token!)
    expect(second).toEqual(lost)
    // The access token has expired in the meantime, and lives again.
    expect(await statusOf(second.access_token)).toBe('works')
    expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect((await refresh(second.refresh_token)).refresh_token).not.toBe(second.refresh_token)
  })

  test('many times at once: issues one pair', async () => {
    const first = await logIn(true)
    const pairs = await Promise.all(Array.from({ length: 5 }, () => refresh(first.refresh_token!)))
    expect(new Set(pairs.map((pair) => JSON.stringify(pair))).size).toBe(1)
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from refresh_tokens
      where device_id = ${first.device_id}`.execute(app.database.sql)
    expect(rows).toEqual([{ count: 2 }])
  })

  test('after its successor was refreshed: is refused, as the successor was used', async () => {
    const first = await logIn(true)
    const second = await refresh(first.refresh_token!)
    await refresh(second.refresh_token)
    expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect(await statusOf(first.access_token)).toBe('soft logout')
  })

  /** Returns a session whose rows are again those of a backup that was made when it had its first tokens. */
  async function restored() {
    const first = await logIn(true)
    const ofDevice = sql`where device_id = ${first.device_id}`
    const { rows } = await sql<{ row: string }>`select to_json(refresh_tokens)::text as row from refresh_tokens
      ${ofDevice}`.execute(app.database.sql)
    const second = await refresh(first.refresh_token!)
    const third = await refresh(second.refresh_token)
    await app.database.write(async (tx) => {
      await sql`delete from refresh_tokens ${ofDevice}`.execute(tx.sql)
      await sql`insert into refresh_tokens select (json_populate_record(null::refresh_tokens, ${rows[0]!.row}::json)).*`.execute(
        tx.sql,
      )
      await sql`update refresh_tokens set is_restored = true ${ofDevice}`.execute(tx.sql)
    })
    return { first, second, third }
  }

  test('after a restore that has lost it: is accepted once, and older tokens end the session', async () => {
    const { first, second, third } = await restored()
    const [fourth, same] = await Promise.all([refresh(third.refresh_token), refresh(third.refresh_token)])
    expect(same).toEqual(fourth)
    expect(await statusOf(fourth.access_token)).toBe('works')
    const fifth = await refresh(fourth.refresh_token)
    expect(await statusOf(fifth.access_token)).toBe('works')
    app.clock.advance(2 * RETIREMENT_MS)
    expect(await refusal(second.refresh_token)).toBe('soft logout')
    expect(await refusal(fifth.refresh_token)).toBe('soft logout')
    expect(await refusal(first.refresh_token)).not.toBe('issues tokens')
  })

  test('after a restore that has not lost it: is accepted, and then no lost token is', async () => {
    const { first, third } = await restored()
    const next = await refresh(first.refresh_token!)
    expect(await statusOf(next.access_token)).toBe('works')
    expect(await refusal(third.refresh_token)).toBe('soft logout')
  })

  test('at once, as late requests do: is refused, and the session goes on', async () => {
    const { first, second } = await rotated()
    app.clock.advance(RETIREMENT_MS)
    expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect(await statusOf(first.access_token)).toBe('soft logout')
    expect(await statusOf(second.access_token)).toBe('works')
  })

  test('at once, after another rotation: ends the session', async () => {
    const { first, second } = await rotated()
    const third = await refresh(second.refresh_token!)
    // The third pair is not in use yet, so the second may still be repeated, and the first be late.
    expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect(await statusOf(third.access_token)).toBe('works')
    expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect(await statusOf(third.access_token)).toBe('soft logout')
  })

  test.each([1, 3])('later, after %d more rotations: ends the session for both holders', async (times) => {
    const { first, second } = await rotated()
    let newest = second
    for (let time = 0; time < times; time++) {
      app.clock.advance(RETIREMENT_MS + 1)
      newest = await refresh(newest.refresh_token!)
      expect(await statusOf(newest.access_token)).toBe('works')
    }
    for (let time = 0; time < 2; time++) expect(await refusal(first.refresh_token)).toBe('soft logout')
    expect(await statusOf(newest.access_token)).toBe('soft logout')
    for (const wait of [0, RETIREMENT_MS + 1]) {
      app.clock.advance(wait)
      expect(await refusal(newest.refresh_token)).toBe('soft logout')
    }
    // The owner logs in to the same device again: the old tokens no longer revoke anything.
    const device = { deviceId: first.device_id, wantsRefreshToken: true }
    const again = await logInWithPassword(app, { identifier: { user: 'alice' }, password, device })
    expect(await refusal(first.refresh_token)).toBe('unknown')
    expect(await refusal(newest.refresh_token)).toBe('unknown')
    expect(await statusOf(again.access_token)).toBe('works')
    expect(await refusal(again.refresh_token)).toBe('issues tokens')
  })

  test('from a client of OAuth: is unknown, and ends nothing', async () => {
    const { first, second } = await rotated()
    for (const { refresh_token } of [first, second]) {
      const stolen = refreshTokens(app, { refreshToken: refresh_token!, clientId: 'another' })
      await expect(stolen).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', extra: { soft_logout: false } })
    }
    expect(await statusOf(second.access_token)).toBe('works')
  })

  test('made up, of no family or of another one: ends nothing', async () => {
    const { second } = await rotated()
    const forms = ['', 'x', 'hearth_refresh_x_y', `${second.refresh_token}_`, `hearth_refresh__${'a'.repeat(40)}`]
    for (const token of forms) expect(await refusal(token)).toBe('unknown')
    expect(await statusOf(second.access_token)).toBe('works')
  })
})
