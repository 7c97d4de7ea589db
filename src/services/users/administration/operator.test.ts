import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { openOperatorSession, operatorParts, readOperatorProof, writeOperatorProof } from './operator.ts'

const SECRET = 'known to the operator'
const request = { method: 'PUT', url: '/_synapse/admin/v1/suspend/@bob:hearth.test' }
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ config: { registration: { shared_secret: SECRET } } })
})
afterAll(() => app.close())

function proofOf(nonce: string, changes: { time?: number; name?: string; secret?: string } = {}) {
  const proof = { name: 'root', nonce, time: app.clock.now(), ...changes }
  const mac = createHmac('sha256', changes.secret ?? SECRET)
    .update(operatorParts(proof, request).join('\0'))
    .digest('hex')
  return { ...proof, mac }
}

test('a proof opens one session, which names the operator', async () => {
  const proof = proofOf('once')
  expect(readOperatorProof(writeOperatorProof(proof))).toMatchObject(proof)
  const session = await openOperatorSession(app, proof, request)
  expect(session).toMatchObject({ userId: 'command line: root', isAdmin: true, deviceId: null })
  await expect(openOperatorSession(app, proof, request)).rejects.toThrow('The nonce is used')
})

test.each([
  ['another secret', () => proofOf('a', { secret: 'guessed' }), request],
  ['another request', () => proofOf('b'), { ...request, method: 'POST' }],
  ['another path', () => proofOf('c'), { ...request, url: '/_synapse/admin/v1/suspend/@alice:hearth.test' }],
  ['another name', () => ({ ...proofOf('d'), name: 'carl' }), request],
  ['an old time', () => proofOf('e', { time: app.clock.now() - 61_000 }), request],
  ['a future time', () => proofOf('f', { time: app.clock.now() + 61_000 }), request],
  ['no time', () => proofOf('g', { time: Number.NaN }), request],
  ['a long nonce', () => proofOf('h'.repeat(65)), request],
  ['a header without a proof', () => readOperatorProof('Hearth-Operator x')!, request],
])('refuses %s', async (_case, proof, received) => {
  await expect(openOperatorSession(app, proof(), received)).rejects.toMatchObject({ status: 403 })
})

test('refuses NUL, which separates the signed parts', async () => {
  await expect(openOperatorSession(app, proofOf('i', { name: 'a\0b' }), request)).rejects.toMatchObject({
    errcode: 'M_INVALID_PARAM',
  })
})

test('other headers have no proof', () => {
  for (const header of [undefined, 'Bearer x', '']) expect(readOperatorProof(header)).toBeUndefined()
})
