import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { InvalidParamError, type MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import type { AuthData } from './uia-stages.ts'
import {
  type ApprovedRequest,
  authenticateAndPerform,
  type UiaAction,
  type UiaRequest,
} from './user-interactive-auth.ts'

let app: TestApp
let userId: UserId
const password = 'correct horse'

beforeAll(async () => {
  app = await createTestApp()
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.close())

/** Returns the approved request. */
const ECHO: UiaAction<unknown> = {
  perform: async ({ secretHash: _, ...approved }: ApprovedRequest) => ({ answer: approved }),
  repeat: () => 'again',
}

const attempt = (auth: AuthData | undefined, more: Partial<UiaRequest> = {}, action: Partial<typeof ECHO> = {}) =>
  authenticateAndPerform(
    app,
    {
      operation: 'DELETE /thing',
      userId,
      flows: [['m.login.dummy', 'm.login.password']],
      auth,
      body: {},
      ...more,
    },
    { ...ECHO, ...action },
  )

/** Returns the 401 of a failed attempt. */
async function refusal(passing: Promise<unknown>): Promise<Record<string, unknown> & { session: string }> {
  const error = await passing.then(
    () => undefined,
    (thrown: MatrixError) => thrown,
  )
  expect(error?.status).toBe(401)
  return error!.toJSON() as never
}

test('stages in any order, each once, until a flow is complete', async () => {
  const first = await refusal(attempt(undefined, { body: { what: 'first' } }))
  expect(first).toMatchObject({ completed: [], flows: [{ stages: ['m.login.dummy', 'm.login.password'] }] })
  const { session } = first
  const second = await refusal(attempt({ type: 'm.login.password', password, session }))
  expect(second).toMatchObject({ session, completed: ['m.login.password'] })
  expect(second.errcode).toBeUndefined()
  const again = await refusal(attempt({ type: 'm.login.password', password: 'wrong by now', session }))
  expect(again).toMatchObject({ completed: ['m.login.password'] })
  const passed = await attempt({ type: 'm.login.dummy', session })
  expect(passed).toEqual({
    completed: { 'm.login.dummy': 'true', 'm.login.password': userId },
    body: { what: 'first' },
  })
  expect(await attempt({ session })).toBe('again')
  await expect(attempt({ session }, { body: { what: 'else' } })).rejects.toMatchObject({ status: 400 })
})

test('any of several flows will do', async () => {
  const flows = [['m.login.dummy'], ['m.login.password']] as const
  expect(await attempt({ type: 'm.login.dummy' }, { flows })).toMatchObject({ completed: { 'm.login.dummy': 'true' } })
})

test('a failed stage says why, and can be tried again', async () => {
  const failed = await refusal(attempt({ type: 'm.login.password', password: 'wrong' }))
  expect(failed).toMatchObject({ errcode: 'M_FORBIDDEN', completed: [] })
  const { session } = failed
  expect(await refusal(attempt({ type: 'm.login.unheard_of', session }))).toMatchObject({ errcode: 'M_UNRECOGNIZED' })
  expect(await refusal(attempt({ type: 'm.login.password', session }))).toMatchObject({ errcode: 'M_MISSING_PARAM' })
  await refusal(attempt({ type: 'm.login.password', password, session }))
  await attempt({ type: 'm.login.dummy', session })
})

test('a session is for one user and one operation', async () => {
  const { session } = await refusal(attempt(undefined))
  const elsewhere = attempt({ type: 'm.login.dummy', session }, { operation: 'DELETE /another' })
  await expect(elsewhere).rejects.toMatchObject({ status: 403 })
  const bob = await createUser(app, { localpart: 'bob', password })
  await expect(attempt({ type: 'm.login.dummy', session }, { userId: bob })).rejects.toMatchObject({ status: 403 })
})

test('a session expires', async () => {
  const { session } = await refusal(attempt(undefined))
  app.clock.advance(60 * 60_000)
  await expect(attempt({ session })).rejects.toMatchObject({ status: 400 })
})

test('no auth at all never passes', async () => {
  await refusal(attempt(undefined, { flows: [['m.login.dummy']] }))
  await refusal(attempt({}, { flows: [['m.login.dummy']] }))
})

/** Starts a session with both stages complete. */
async function readySession(more: Partial<UiaRequest> = {}): Promise<string> {
  const { session } = await refusal(attempt(undefined, more))
  await refusal(attempt({ type: 'm.login.password', password, session }, more))
  return session
}
const last = (session: string) => ({ type: 'm.login.dummy', session })

test('of a password, only the hash is kept, for the request that sends nothing but auth', async () => {
  const [secret, body] = ['a new horse', { logout_devices: true }]
  const session = await readySession({ body, secret })
  const { rows } = await sql<{ text: string }>`select uia_sessions::text as text from uia_sessions
    where session_id = ${session}`.execute(app.database.sql)
  expect(rows[0]!.text).not.toContain(secret)
  const seen: ApprovedRequest[] = []
  const perform: typeof ECHO.perform = async (approved) => {
    seen.push(approved)
    return { answer: 'done' }
  }
  expect(await attempt(last(session), {}, { perform })).toBe('done')
  expect(seen[0]!.body).toEqual(body)
  expect(await app.passwordHasher.verify(seen[0]!.secretHash, secret)).toBe(true)
  expect(await attempt(last(session), {}, { perform })).toBe('again')
  expect(await attempt(last(session), { body, secret }, { perform })).toBe('again')
  for (const other of [{ secret: 'guess', body }, { secret, body: { logout_devices: false } }, { body: { more: 1 } }])
    await expect(attempt(last(session), other, { perform })).rejects.toMatchObject({ status: 400 })
  expect(seen).toHaveLength(1)
})

test('a request that says more than auth counts for itself, not with the first', async () => {
  const session = await readySession({ body: { erase: true } })
  expect(await attempt(last(session), { body: { other: 1 } })).toMatchObject({ body: { other: 1 } })
})

test('a finished request can be repeated for five minutes', async () => {
  const session = await readySession()
  const note = { user: 'x' }
  const repeat: typeof ECHO.repeat = (finished) => finished.note
  const action = { perform: async () => ({ answer: 'done', note }), repeat }
  expect(await attempt(last(session), {}, action)).toBe('done')
  app.clock.advance(5 * 60_000 - 1)
  expect(await attempt(last(session), {}, action)).toEqual(note)
  app.clock.advance(1)
  await expect(attempt(last(session), {}, action)).rejects.toMatchObject({ status: 400 })
})

test('a request that fails can be tried again, and of several at once one passes', async () => {
  const session = await readySession()
  const failing = async () => {
    throw new InvalidParamError('no')
  }
  await expect(attempt(last(session), {}, { perform: failing })).rejects.toMatchObject({ message: 'no' })
  const outcomes = await Promise.allSettled([1, 2, 3].map((which) => attempt({ session }, { body: { which } })))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('what cannot be performed is refused before authentication', async () => {
  const check = () => {
    throw new InvalidParamError('name: is taken')
  }
  await expect(attempt(undefined, {}, { check })).rejects.toMatchObject({ message: 'name: is taken' })
})
