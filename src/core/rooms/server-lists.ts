import type { ServerName } from '../ids.ts'
import { compileGlob } from '../text/glob.ts'
import { comparableHost } from './server-acl.ts'

/** Globs for servers, in lower case. `allow`: the only allowed ones; empty: all. */
export type ServerLists = { allow: readonly string[]; deny: readonly string[] }

/** Compiled lists, kept as long as the configuration. */
const compiled = new WeakMap<ServerLists, (host: string) => boolean>()

/** Whether lists deny a server, however its name is spelled. */
export function isDeniedBy(lists: ServerLists, server: ServerName): boolean {
  if (lists.allow.length + lists.deny.length === 0) return false
  const denies = compiled.get(lists) ?? compile(lists)
  compiled.set(lists, denies)
  return denies(comparableHost(server))
}

function compile({ allow, deny }: ServerLists): (host: string) => boolean {
  const [allowed, denied] = [allow, deny].map((globs) => globs.map((glob) => compileGlob(glob)))
  return (host) => denied!.some((matches) => matches(host)) || (allow.length > 0 && !allowed!.some((m) => m(host)))
}
