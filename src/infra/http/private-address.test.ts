import { describe, expect, test } from 'vitest'
import { isPrivateAddress } from './private-address.ts'

/** The first and last address of each range, and the adjacent public ones. */
const RANGES: [range: string, private_: string[], public_: string[]][] = [
  ['this network', ['0.0.0.0', '0.255.255.255'], ['1.0.0.0']],
  ['private 10', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0']],
  ['carrier-grade NAT', ['100.64.0.0', '100.127.255.255'], ['100.63.255.255', '100.128.0.0']],
  ['loopback', ['127.0.0.0', '127.0.0.1', '127.255.255.255'], ['126.255.255.255', '128.0.0.0']],
  ['link-local', ['169.254.0.0', '169.254.169.254', '169.254.255.255'], ['169.253.255.255', '169.255.0.0']],
  ['private 172', ['172.16.0.0', '172.31.255.255'], ['172.15.255.255', '172.32.0.0']],
  ['protocol assignments', ['192.0.0.0', '192.0.0.255'], ['192.0.1.0']],
  ['documentation 1', ['192.0.2.0', '192.0.2.255'], ['192.0.1.255', '192.0.3.0']],
  ['6to4 relays', ['192.88.99.0', '192.88.99.255'], ['192.88.98.255', '192.88.100.0']],
  ['private 192', ['192.168.0.0', '192.168.255.255'], ['192.167.255.255', '192.169.0.0']],
  ['benchmarking', ['198.18.0.0', '198.19.255.255'], ['198.17.255.255', '198.20.0.0']],
  ['documentation 2', ['198.51.100.0', '198.51.100.255'], ['198.51.99.255', '198.51.101.0']],
  ['documentation 3', ['203.0.113.0', '203.0.113.255'], ['203.0.112.255', '203.0.114.0']],
  ['multicast', ['224.0.0.0', '239.255.255.255'], ['223.255.255.255']],
  ['reserved and broadcast', ['240.0.0.0', '255.255.255.254', '255.255.255.255'], []],
  ['unspecified', ['::', '0:0:0:0:0:0:0:0'], []],
  ['loopback 6', ['::1', '0000:0000:0000:0000:0000:0000:0000:0001'], []],
  ['IPv4-compatible', ['::7f00:1', '::127.0.0.1', '::10.0.0.1', '::8.8.8.8', '::ffff:ffff'], []],
  [
    'IPv4-mapped',
    ['::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:10.1.2.3', '::ffff:a9fe:a9fe', '0:0:0:0:0:ffff:c0a8:1'],
    ['::ffff:8.8.8.8', '::ffff:808:808'],
  ],
  ['IPv4-translated', ['::ffff:0:127.0.0.1', '::ffff:0:7f00:1', '::ffff:0:8.8.8.8'], []],
  [
    'NAT64',
    ['64:ff9b::7f00:1', '64:ff9b::127.0.0.1', '64:ff9b::a00:1', '64:ff9b::c0a8:101', '64:ff9b::ffff:ffff', '64:ff9b::'],
    ['64:ff9b::808:808', '64:ff9b::8.8.8.8'],
  ],
  [
    'NAT64 of this network',
    ['64:ff9b:1::', '64:ff9b:1::808:808', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
    ['64:ff9b:2::'],
  ],
  ['discard', ['100::', '100::ffff:ffff:ffff:ffff'], ['100:0:0:2::']],
  ['Teredo', ['2001::', '2001:0:7f00:1::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'], []],
  ['protocol assignments 6', ['2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'], ['2001:200::']],
  [
    'documentation 6',
    ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '3fff::', '3fff:fff::'],
    ['3fff:1000::'],
  ],
  ['6to4', ['2002::', '2002:7f00:1::', '2002:a00:1::1', '2002:808:808::'], ['2003::']],
  ['segment routing', ['5f00::'], []],
  ['unique local', ['fc00::', 'fd00::1', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], []],
  ['link-local 6', ['fe80::', 'fe80::1', 'febf:ffff::', 'fe80::1%eth0', 'fe80::1%25eth0'], []],
  ['site-local', ['fec0::', 'fec0::1', 'feff:ffff::'], []],
  ['multicast 6', ['ff00::', 'ff02::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], []],
]

describe.each(RANGES)('%s', (_range, inside, outside) => {
  test.each(inside)('%s is private', (address) => expect(isPrivateAddress(address)).toBe(true))
  if (outside.length > 0) test.each(outside)('%s is not', (address) => expect(isPrivateAddress(address)).toBe(false))
})

test.each(['1.1.1.1', '8.8.8.8', '2606:4700:4700::1111', '2a00::1', '2620:fe::fe'])('%s is public', (address) =>
  expect(isPrivateAddress(address)).toBe(false),
)

/** These are names: they are resolved, and the resulting address is checked. */
test.each(['example.org', 'localhost', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '1.2.3.4.5', ''])(
  '%j is a name',
  (name) => expect(isPrivateAddress(name)).toBe(false),
)
