import { isIPv6 } from 'node:net'

/** Returns the rate-limit key of an address. For IPv6 it is the /64 network, all of which one client can use. */
export function networkOf(ip: string): string {
  return isIPv6(ip) && !ip.includes('.') ? groupsOf(ip, 4) : ip
}

/** Returns the network that one owner often has as a whole: an IPv6 /48, an IPv4 /24. */
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
