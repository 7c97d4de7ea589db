import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findUser } from '../../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { newRegistrationNonce, registerBySharedSecret } from './shared-secret-registration.ts'

const SECRET = 'shared'
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ config: { registration: { shared_secret: SECRET } } })
})
afterAll(() => app.close())

const account = { username: 'root', password: 'correct horse', admin: true }

function macOf(parts: readonly string[]): string {
  return createHmac('sha1', SECRET).update(parts.join('\0')).digest('hex')
}

test('makes the account, whether or not registration is open', async () => {
  const nonce = await newRegistrationNonce(app)
  const mac = macOf([nonce, 'root', 'correct horse', 'admin'])
  const login = await registerBySharedSecret(app, { ...account, nonce, mac })
  expect(login).toMatchObject({ user_id: '@root:hearth.test', access_token: expect.any(String) })
  expect(await findUser(app.database, login.user_id)).toMatchObject({ is_admin: true })
})

test('the type of the user is signed and stored, where it is given', async () => {
  const nonce = await newRegistrationNonce(app)
  const mac = macOf([nonce, 'helper', 'correct horse', 'notadmin', 'support'])
  const request = { nonce, username: 'helper', password: 'correct horse', admin: false, user_type: 'support', mac }
  const { user_id: userId } = await registerBySharedSecret(app, request)
  expect(await findUser(app.database, userId)).toMatchObject({ user_id: '@helper:hearth.test', user_type: 'support' })
})

test.each([
  { username: 'nul', password: 'correct horse\0admin', admin: false },
  { username: 'nul\0correct horse', password: 'admin', admin: false },
  { username: 'nul', password: 'correct horse', admin: false, user_type: 'bot\0x' },
])('what could be another request with the same mac is refused: %j', async (request) => {
  const nonce = await newRegistrationNonce(app)
  const type = request.user_type === undefined ? [] : [request.user_type]
  const mac = macOf([nonce, request.username, request.password, 'notadmin', ...type])
  const refused = registerBySharedSecret(app, { ...request, nonce, mac })
  await expect(refused).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM', message: /NUL/ })
})

test('a nonce expires within a minute', async () => {
  const nonce = await newRegistrationNonce(app)
  app.clock.advance(60_000)
  const mac = macOf([nonce, 'late', 'correct horse', 'admin'])
  const late = registerBySharedSecret(app, { ...account, username: 'late', nonce, mac })
  await expect(late).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
})

test.each(['', 'zz', '00'.repeat(20)])('%j is no mac', async (mac) => {
  const nonce = await newRegistrationNonce(app)
  const forged = registerBySharedSecret(app, { ...account, username: 'forged', nonce, mac })
  await expect(forged).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})

test('without a secret there is no such registration', async () => {
  const closed = {
    ...app,
    config: { ...app.config, registration: { ...app.config.registration, shared_secret: undefined } },
  }
  await expect(newRegistrationNonce(closed)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})
