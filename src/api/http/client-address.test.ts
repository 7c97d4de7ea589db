import { expect, test } from 'vitest'
import { clientAddress } from './client-address.ts'

const PROXY = '127.0.0.1'

function seen(forwarded: string | undefined, trustedProxies: number): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return clientAddress({ headers, socket: { remoteAddress: PROXY } as never }, trustedProxies)
}

test.each([
  ['no header', undefined, 1, PROXY],
  ['no proxy', '192.0.2.1', 0, PROXY],
  ['a proxy that sets the address', '198.51.100.7', 1, '198.51.100.7'],
  ['a proxy that appends to what a client claims', '192.0.2.1, 198.51.100.7', 1, '198.51.100.7'],
  ['… to many claims', '192.0.2.1,192.0.2.2 ,192.0.2.3,198.51.100.7', 1, '198.51.100.7'],
  ['two proxies', '192.0.2.1, 198.51.100.7, 10.0.0.1', 2, '198.51.100.7'],
  ['two proxies, of which one was passed by', '198.51.100.7', 2, '198.51.100.7'],
  ['an address of IPv6', '2001:db8::1', 1, '2001:db8::1'],
  ['a port behind it', '198.51.100.7:4711', 1, '198.51.100.7'],
  ['brackets', '[2001:db8::1]', 1, '2001:db8::1'],
  ['brackets and a port', '[2001:db8::1]:4711', 1, '2001:db8::1'],
  ['a name', 'localhost', 1, PROXY],
  ['nothing', '', 1, PROXY],
  ['an empty entry at the end', '198.51.100.7,', 1, PROXY],
  ['a word of RFC 7239', 'unknown', 1, PROXY],
  ['a number', '3221225985', 1, PROXY],
  ['a text with an address in it', '198.51.100.7 or so', 1, PROXY],
  ['a secret key as an address', '@alice:hearth.test', 1, PROXY],
])('%s: %j behind %i proxies is %s', (_, forwarded, trustedProxies, address) => {
  expect(seen(forwarded, trustedProxies)).toBe(address)
})
