import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { createUser } from './create-user.ts'
import { createUsersTestApp, type UsersTestApp } from './test-users-app.ts'
import type { AuthData } from './uia-stages.ts'
import { requireUserInteractiveAuth, type UiaRequest } from './user-interactive-auth.ts'

let app: UsersTestApp
let userId: UserId
const password = 'correct horse'

beforeAll(async () => {
  app = await createUsersTestApp()
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.database.close())

const attempt = (auth: AuthData | undefined, more: Partial<UiaRequest> = {}) =>
  requireUserInteractiveAuth(app, {
    operation: 'DELETE /thing',
    userId,
    flows: [['m.login.dummy', 'm.login.password']],
    auth,
    body: {},
    ...more,
  })

/** The 401 of an attempt that does not pass. */
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
  await expect(attempt({ session })).rejects.toMatchObject({ status: 400 })
})

test('any of several flows will do', async () => {
  const flows = [['m.login.dummy'], ['m.login.password']] as const
  expect((await attempt({ type: 'm.login.dummy' }, { flows })).completed).toEqual({ 'm.login.dummy': 'true' })
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
