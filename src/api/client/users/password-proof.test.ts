import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { confirmBySignIn } from '../../../services/users/uia-fallback.ts'
import { updatePasswordHash } from '../../../storage/users/users.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import { userEndpoints } from '../user-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
beforeAll(async () => {
  api = await startClientApi({ endpoints: userEndpoints })
})
afterAll(() => api.close())

const REQUESTS = [
  ['DELETE', '/devices/TABLET', {}],
  ['POST', '/delete_devices', { devices: ['TABLET'] }],
  ['POST', '/account/deactivate', {}],
] as const

const confirm = (sessionId: string, userId: string) => confirmBySignIn(api.app, { sessionId, userId: userId as UserId })

test.each(REQUESTS)('without a password, %s %s needs a sign-in on the pages', async (method, path, body) => {
  const alice = await api.client(`alice${path.replace(/\W/g, '').toLowerCase()}`, { deviceId: 'PHONE' })
  const { status, body: needed } = await alice.ask(method, path, body)
  expect([status, needed.flows]).toEqual([401, [{ stages: ['m.login.sso'] }]])
  const auth = { type: 'm.login.sso', session: needed.session }
  const early = await alice.ask(method, path, { ...body, auth })
  expect([early.status, early.body.errcode, early.body.completed]).toEqual([401, undefined, []])
  await expect(confirm(auth.session, '@eve:hearth.test')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  await expect(confirm('unknown', alice.userId)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  expect((await alice.ask(method, path, { ...body, auth })).status).toBe(401)
  expect((await alice.ok('GET', '/capabilities')).capabilities['m.change_password']).toEqual({ enabled: false })
  await api.app.database.write((tx) => updatePasswordHash(tx, alice.userId, 'a hash'))
  expect((await alice.ask(method, path, body)).body.flows).toEqual([{ stages: ['m.login.password'] }])
  expect((await alice.ok('GET', '/capabilities')).capabilities['m.change_password']).toEqual({ enabled: true })
})

test('without a password, setting one refers to the account page', async () => {
  const alice = await api.client('alice', { deviceId: 'PHONE' })
  const answer = await alice.ask('POST', '/account/password', { new_password: 'another horse' })
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  expect(answer.body.error).toContain(`${api.app.config.public_base_url}/account`)
})

test('the sign-in confirms one request', async () => {
  const alice = await api.client('alicewithtwo', { deviceId: 'PHONE' })
  const { session } = (await alice.ask('POST', '/account/deactivate', {})).body
  await confirm(session, alice.userId)
  const other = await alice.ask('DELETE', '/devices/TABLET', { auth: { session } })
  expect([other.status, other.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  expect((await alice.ask('POST', '/account/deactivate', { auth: { session } })).status).toBe(200)
})
