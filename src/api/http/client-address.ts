import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/**
 * Returns the IP address of the client. `trustedProxies` is the number of reverse proxies that the request has passed.
 * Each appends the address that it sees to X-Forwarded-For, so that only this many entries, counted from the right, can
 * be trusted. An entry that is not an IP address counts as absent.
 */
export function clientAddress(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustedProxies: number,
): string {
  const entries = trustedProxies > 0 ? forwardedFor(headers) : []
  const named = addressIn(entries.at(-trustedProxies) ?? entries[0] ?? '')
  return named ?? socket.remoteAddress ?? ''
}

/** Returns the entries of X-Forwarded-For in order. Node joins repeated headers by commas. */
export function forwardedFor(headers: IncomingMessage['headers']): string[] {
  const text = [headers['x-forwarded-for'] ?? []].flat().join(',')
  return text === '' ? [] : text.split(',').map((entry) => entry.trim())
}

/** Strips the port that some proxies append: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(entry: string): string | undefined {
  const [, inBrackets, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(entry) ?? []
  const address = inBrackets ?? plain ?? entry
  return isIP(address) === 0 ? undefined : address
}
