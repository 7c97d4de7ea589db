import { readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createPlainServer } from 'node:net'
import { createServer } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestAuthority, type TestAuthority } from '../../../testing/test-authority.ts'
import { addressExpiry, fileExpiry } from './certificate-expiry.ts'

const NEVER = new AbortController().signal
/** The certificates of tests are valid for two days. */
const DAYS = 2 * 86_400_000

let authority: TestAuthority
let secure: Server
let silent: Server
beforeAll(async () => {
  authority = createTestAuthority()
  const { certificate, key } = authority.issue('localhost')
  secure = await listening(createServer({ cert: readFileSync(certificate), key: readFileSync(key) }))
  silent = await listening(createPlainServer((socket) => socket.on('error', () => {})))
})
afterAll(() => {
  secure.close()
  silent.close()
  authority.dispose()
})

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

function expectTwoDays(expiry: number | undefined): void {
  expect(Math.abs(expiry! - Date.now() - DAYS)).toBeLessThan(600_000)
}

test('a file has the date of its certificate', () => {
  expectTwoDays(fileExpiry(authority.issue('localhost').certificate))
  expect(fileExpiry('/does/not/exist')).toBeUndefined()
  expect(fileExpiry(authority.issue('localhost').key)).toBeUndefined()
})

test('a server has the date of its certificate, whoever signed it', async () => {
  expectTwoDays(await addressExpiry('127.0.0.1', portOf(secure), NEVER))
})

test('a server that cannot be reached, or is too slow, has none', async () => {
  expect(await addressExpiry('127.0.0.1', 1, NEVER)).toBeUndefined()
  expect(await addressExpiry('127.0.0.1', portOf(silent), AbortSignal.timeout(50))).toBeUndefined()
})
