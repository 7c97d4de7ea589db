import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { jwt, readJwtKey } from '../../../config/jwt.ts'
import { systemClock } from '../../../infra/clock.ts'
import { createJwtVerifier } from '../../../infra/users/jwt-verifier.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import { getLogin, postLogin } from './login.ts'

const SECRET = 'a secret that only tests know, of more than 32 characters'
const JWT_CONFIG = { algorithm: 'HS256', secret: SECRET } as const

test('org.matrix.login.jwt is offered and works if it is configured', async () => {
  const jwtVerifier = await createJwtVerifier(jwt.parse(JWT_CONFIG), { clock: systemClock, readKey: readJwtKey })
  const api = await startClientApi({ endpoints: [getLogin, postLogin], config: { jwt: JWT_CONFIG }, jwtVerifier })
  const { ask } = await api.client('alice')
  expect((await ask('GET', '/login')).body.flows).toContainEqual({ type: 'org.matrix.login.jwt' })
  const token = await new SignJWT({ sub: 'bob' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1 minute')
    .sign(Buffer.from(SECRET))
  const body = { type: 'org.matrix.login.jwt', token, device_id: 'PHONE' }
  expect(await ask('POST', '/login', body)).toMatchObject({
    status: 200,
    body: { user_id: '@bob:hearth.test', device_id: 'PHONE', access_token: expect.any(String) },
  })
  expect(await ask('POST', '/login', { ...body, token: `${token}x` })).toMatchObject({
    status: 403,
    body: { errcode: 'M_FORBIDDEN' },
  })
  expect((await ask('POST', '/login', { type: body.type })).body.errcode).toBe('M_MISSING_PARAM')
  await api.close()
})

test('org.matrix.login.jwt is neither offered nor accepted otherwise', async () => {
  const api = await startClientApi({ endpoints: [getLogin, postLogin] })
  const { ask } = await api.client('alice')
  expect((await ask('GET', '/login')).body.flows).not.toContainEqual({ type: 'org.matrix.login.jwt' })
  expect(await ask('POST', '/login', { type: 'org.matrix.login.jwt', token: 'x' })).toMatchObject({
    status: 400,
    body: { errcode: 'M_UNKNOWN' },
  })
  await api.close()
})
