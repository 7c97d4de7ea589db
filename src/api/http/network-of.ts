import { isIPv6 } from 'node:net'

/** Whom an address stands for where requests are counted: of IPv6, whoever has one address has the 2^64 of its network. */
export function networkOf(ip: string): string {
  return isIPv6(ip) && !ip.includes('.') ? groupsOf(ip, 4) : ip
}

/** The network that one owner often has as a whole: a /48 of IPv6, a /24 of IPv4. */
export function wideNetworkOf(ip: string): string {
  return isIPv6(ip) && !ip.includes('.') ? groupsOf(ip, 3) : ip.slice(0, Math.max(ip.lastIndexOf('.'), 0))
}

function groupsOf(ip: string, count: number): string {
  const [left, right] = ip
    .split('%')[0]!
    .split('::')
    .map((half) => half.split(':').filter(Boolean))
  const zeros = right ? Array<string>(8 - left!.length - right.length).fill('0') : []
  const groups = [...left!, ...zeros, ...(right ?? [])]
  return groups
    .slice(0, count)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
