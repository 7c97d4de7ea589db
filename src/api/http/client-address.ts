import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/**
 * Returns the IP address that a request comes from. `trustedProxies` is the number of reverse proxies that the request has passed: each appends the address that it sees to
 * X-Forwarded-For, so that many entries, counted from the right, are true. The client may have written all others. An entry that is no IP address counts as absent.
 */
export function clientAddress(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustedProxies: number,
): string {
  const entries = trustedProxies > 0 ? forwardedFor(headers) : []
  const named = addressIn(entries.at(-trustedProxies) ?? entries[0] ?? '')
  return named ?? socket.remoteAddress ?? ''
}

/** The entries of X-Forwarded-For, in their order. Node joins repeated headers by commas. */
export function forwardedFor(headers: IncomingMessage['headers']): string[] {
  const text = [headers['x-forwarded-for'] ?? []].flat().join(',')
  return text === '' ? [] : text.split(',').map((entry) => entry.trim())
}

/** Some proxies append the port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(entry: string): string | undefined {
  const [, inBrackets, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(entry) ?? []
  const address = inBrackets ?? plain ?? entry
  return isIP(address) === 0 ? undefined : address
}
