import { isIPv6 } from 'node:net'

/** Whom an address stands for where requests are counted: of IPv6, whoever has one address has the 2^64 of its network. */
export function networkOf(ip: string): string {
  if (!isIPv6(ip) || ip.includes('.')) return ip
  const [left, right] = ip
    .split('%')[0]!
    .split('::')
    .map((half) => half.split(':').filter(Boolean))
  const zeros = right ? Array<string>(8 - left!.length - right.length).fill('0') : []
  const groups = [...left!, ...zeros, ...(right ?? [])]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
