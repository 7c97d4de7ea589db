import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { newRegistrationNonce } from '../users/registration/shared-secret-registration.ts'
import { runMoveSlice } from './run-move.ts'

const SECRET = 'known to the operator'
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ config: { registration: { shared_secret: SECRET } } })
})
afterAll(() => app.close())

const macOf = (...parts: string[]) => createHmac('sha256', SECRET).update(parts.join('\0')).digest('hex')

test('only an operator who knows the shared secret may have media moved, once with each nonce', async () => {
  const move = { to: 's3', nonce: await newRegistrationNonce(app) } as const
  const proof = { ...move, mac: macOf('media move', move.nonce, 's3') }
  await expect(runMoveSlice(app, { ...proof, nonce: 'unknown' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  await expect(runMoveSlice(app, { ...proof, nonce: 'a\0b' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  await expect(runMoveSlice(app, proof)).rejects.toThrow('It was started with other values of media.store')
  await expect(runMoveSlice(app, proof)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  const nonce = await newRegistrationNonce(app)
  const forOtherStore = { to: 'disk', nonce, mac: macOf('media move', nonce, 's3') } as const
  await expect(runMoveSlice(app, forOtherStore)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})
