import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fixedClock } from '../../../infra/clock.ts'
import { finishFirstStep } from '../../../services/sign-in/sign-in-steps.ts'
import { findUser, updateLocked, updatePasswordHash } from '../../../storage/users/users.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import { pageEndpoints } from '../../page-endpoints.ts'
import { cookieHeader, csrfToken } from '../cookies.ts'

const clock = fixedClock(1_700_000_000_000)
const FROM = { ip: '192.0.2.1', userAgent: undefined }
const MINUTE_MS = 60_000

type Api = Awaited<ReturnType<typeof startClientApi>>
let api: Api
beforeAll(async () => {
  api = await startClientApi({ clock, endpoints: pageEndpoints })
})
afterAll(() => api.close())

let made = 0
/** Creates a user with a password and a browser in which the user is signed in. */
async function enter({ app, client, origin }: Api) {
  const { userId } = await client(`user${++made}`)
  await app.database.write((tx) => updatePasswordHash(tx, userId, 'a hash'))
  const first = { cookie: app.random.token(40), ...FROM }
  const { cookie } = await finishFirstStep(app, first, { userId, by: 'password' })
  const send = async (path: string, fields?: Record<string, string>) => {
    const answer = await fetch(origin + path, {
      headers: { Cookie: cookieHeader(app, cookie)['Set-Cookie']!.split(';')[0]! },
      redirect: 'manual',
      ...(fields && { method: 'POST', body: new URLSearchParams({ csrf: csrfToken(cookie), ...fields }) }),
    })
    return { status: answer.status, location: answer.headers.get('location'), text: await answer.text() }
  }
  return { userId, send, hash: async () => (await findUser(app.database, userId))?.password_hash }
}

describe('what could cost the account', () => {
  test.each(['/account/password', '/account/emails', '/account/reset-identity', '/account/deactivate'])(
    '%s needs a sign-in of the last 15 minutes',
    async (path) => {
      const { send, hash } = await enter(api)
      clock.advance(15 * MINUTE_MS)
      expect((await send(path)).status).toBe(200)
      clock.advance(1)
      const again = { status: 303, location: `/login?continue=${encodeURIComponent(path)}` }
      expect(await send(path)).toMatchObject(again)
      const fields = {
        password: 'another horse',
        again: 'another horse',
        name: 'user',
        do: 'add',
        email: 'a@b.example',
      }
      expect(await send(path, fields)).toMatchObject(again)
      expect(await hash()).toBe('a hash')
    },
  )

  test('the data of a user need it too, and a usable account', async () => {
    const data = '/account/export/data.zip'
    const [{ send }, locked] = [await enter(api), await enter(api)]
    const archive = await send(data)
    expect([archive.status, archive.text.slice(0, 2)]).toEqual([200, 'PK'])
    await api.app.database.write((tx) => updateLocked(tx, locked.userId, 1))
    expect((await locked.send(data)).status).toBe(403)
    clock.advance(15 * MINUTE_MS + 1)
    expect((await send(data)).status).toBe(403)
  })

  test('does not hold for the rest', async () => {
    const { send } = await enter(api)
    clock.advance(60 * MINUTE_MS)
    for (const path of ['/account', '/account/profile', '/account/devices', '/account/browsers'])
      expect((await send(path)).status).toBe(200)
  })
})

test('a web session ends when it is not used', async () => {
  const { send } = await enter(api)
  clock.advance(api.app.config.sessions.web_session_lifetime)
  expect(await send('/account')).toMatchObject({ status: 303, location: '/login?continue=%2Faccount' })
})

test('nobody sets a password where passwords are disabled', async () => {
  const strict = await startClientApi({ endpoints: pageEndpoints, config: { sign_in: { passwords: 'disabled' } } })
  try {
    const { send, hash } = await enter(strict)
    expect((await send('/account')).text).not.toContain('/account/password')
    const page = await send('/account/password')
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('Nobody signs in with a password')])
    const answer = await send('/account/password', { password: 'another horse', again: 'another horse' })
    expect([answer.status, await hash()]).toEqual([403, 'a hash'])
  } finally {
    await strict.close()
  }
})
