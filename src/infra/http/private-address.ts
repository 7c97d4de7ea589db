import { BlockList, isIP } from 'node:net'

/**
 * Whether an address is not on the public internet: loopback, private, link-local, multicast, reserved, or an IPv6 form
 * of such an IPv4 address. False for names.
 */
export function isPrivateAddress(host: string): boolean {
  const [address = ''] = host.split('%')
  const family = isIP(address)
  return family !== 0 && PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** https://www.iana.org/assignments/iana-ipv4-special-registry */
const IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/**
 * https://www.iana.org/assignments/iana-ipv6-special-registry. Obsolete forms of IPv4 addresses (IPv4-compatible ::/96,
 * IPv4-translated, Teredo in 2001::/23, 6to4) and those of a local translator (64:ff9b:1::/48) are always refused.
 */
const IPV6 = [
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b:1::/48',
  '100::/64',
  '100:0:0:1::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]
/** The prefix of IPv4 addresses behind NAT64. Node handles the other such form, ::ffff:0:0/96, itself. */
const NAT64 = '64:ff9b::'

const PRIVATE = new BlockList()
for (const range of IPV4) {
  const [address, bits] = partsOf(range)
  PRIVATE.addSubnet(address, bits, 'ipv4')
  PRIVATE.addSubnet(NAT64 + address, 96 + bits, 'ipv6')
}
for (const range of IPV6) PRIVATE.addSubnet(...partsOf(range), 'ipv6')

function partsOf(range: string): [address: string, bits: number] {
  const [address = '', bits] = range.split('/')
  return [address, Number(bits)]
}
