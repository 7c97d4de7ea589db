import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createOutgoingHttp, isPrivateAddress } from './outgoing-http.ts'

test.each([
  '127.0.0.1',
  '10.1.2.3',
  '169.254.169.254',
  '192.168.0.1',
  '::1',
  '::',
  'fe80::1',
  'fd00::1',
  'fec0::1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '2001::1',
  '2002:7f00:1::',
])('%s is private', (address) => expect(isPrivateAddress(address)).toBe(true))

test('addresses of the fourth version written as of the sixth are no way around', () => {
  expect(isPrivateAddress('::ffff:127.0.0.1')).toBe(true)
  expect(isPrivateAddress('::ffff:7f00:1')).toBe(true)
})

test.each(['1.1.1.1', '2606:4700:4700::1111', 'example.org'])('%s is not', (host) =>
  expect(isPrivateAddress(host)).toBe(false),
)

test('a local server is reached only where that is allowed, by address and by name', async () => {
  const server = createServer((_, answer) => answer.end('{"said":"hello"}'))
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  const guarded = createOutgoingHttp({ allowPrivateAddresses: false })
  const open = createOutgoingHttp({ allowPrivateAddresses: true })
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433'])
    await expect(guarded.postJson(`http://${host}:${port}/`, {}, 5000)).rejects.toThrow(/private|public/)
  expect(await open.postJson(`http://localhost:${port}/`, {}, 5000)).toEqual({ status: 200, body: { said: 'hello' } })
  await Promise.all([guarded.close(), open.close()])
  server.close()
})
