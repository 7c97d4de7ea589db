import { afterAll, beforeAll, expect, test } from 'vitest'
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
  ['POST', '/account/password', { new_password: 'another horse' }],
  ['POST', '/account/deactivate', {}],
] as const

test.each(REQUESTS)('without a password, %s %s refers to the account page', async (method, path, body) => {
  const alice = await api.client(`alice${path.replace(/\W/g, '').toLowerCase()}`, { deviceId: 'PHONE' })
  const answer = await alice.ask(method, path, body)
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  expect(answer.body.error).toContain(`${api.app.config.public_base_url}/account`)
  expect((await alice.ok('GET', '/capabilities')).capabilities['m.change_password']).toEqual({ enabled: false })
  await api.app.database.write((tx) => updatePasswordHash(tx, alice.userId, 'a hash'))
  expect((await alice.ask(method, path, body)).body.flows).toEqual([{ stages: ['m.login.password'] }])
  expect((await alice.ok('GET', '/capabilities')).capabilities['m.change_password']).toEqual({ enabled: true })
})
