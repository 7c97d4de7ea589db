import type { ServerName } from '../ids.ts'
import type { JsonObject } from '../pdu.ts'
import { compileGlob, type Glob } from '../text/glob.ts'

/** `known` caches results: an ACL may have many patterns, and checks each event of a few servers. */
type Acl = { allowsIpLiterals: boolean; allow: Glob[]; deny: Glob[]; known: Map<string, boolean> }

const MAX_KNOWN = 1000

/** Compiled ACLs, cached as long as their event. */
const compiled = new WeakMap<JsonObject, Acl>()

/**
 * Whether an `m.room.server_acl` allows a server to participate in its room; `undefined`: the room has no ACL.
 * https://spec.matrix.org/v1.19/client-server-api/#mroomserver_acl
 */
export function isAllowedByAcl(content: JsonObject | undefined, server: ServerName): boolean {
  if (content === undefined) return true
  const acl = compiled.get(content) ?? compile(content)
  compiled.set(content, acl)
  const host = comparableHost(server)
  const isAllowed = acl.known.get(host) ?? allows(acl, host)
  if (acl.known.size < MAX_KNOWN) acl.known.set(host, isAllowed)
  return isAllowed
}

/** Returns a server name in lower case, without port and trailing dots: these variants resolve to the same host. */
export function comparableHost(server: ServerName): string {
  const host = server.replace(/:\d{1,5}$/, '').toLowerCase()
  let end = host.length
  while (host[end - 1] === '.') end--
  return host.slice(0, end)
}

function allows({ allowsIpLiterals, allow, deny }: Acl, host: string): boolean {
  if (!allowsIpLiterals && isIpLiteral(host)) return false
  if (deny.some((matches) => matches(host))) return false
  return allow.some((matches) => matches(host))
}

function compile({ allow_ip_literals: allowsIpLiterals, allow, deny }: JsonObject): Acl {
  return {
    allowsIpLiterals: allowsIpLiterals !== false,
    allow: globs(allow),
    deny: globs(deny),
    known: new Map(),
  }
}

function globs(patterns: JsonObject[string] | undefined): Glob[] {
  if (!Array.isArray(patterns)) return []
  return patterns.flatMap((pattern) => (typeof pattern === 'string' ? compileGlob(pattern.toLowerCase()) : []))
}

/**
 * Whether it is an IP address in any form that connections accept: 16909060 and 0x1.2.772 are 1.2.3.4.
 * https://url.spec.whatwg.org/#ends-in-a-number-checker
 */
function isIpLiteral(host: string): boolean {
  return host.startsWith('[') || /(^|\.)(\d+|0x[0-9a-f]*)$/.test(host)
}
