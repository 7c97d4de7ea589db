import { z } from 'zod'

/** Globs for names and domains, which are compared in lower case. */
export const patterns = z
  .array(
    z
      .string()
      .min(1)
      .max(255)
      .transform((text) => text.toLowerCase()),
  )
  .prefault([])

/** With these, a glob matches no server: ports and final dots are no part of the compared names, which are ASCII. */
const UNMATCHED = /[^!-~]|^[^[].*:[\d*?]*$|\]:|\.$/
const servers = patterns.refine((globs) => !globs.some((glob) => UNMATCHED.test(glob)), {
  error: 'has a name that is no server: write names without port and final dot, in ASCII (xn--…)',
})

/** The setting for servers that are allowed or denied; `what` they may do. */
export function serverLists(what: string) {
  return z
    .strictObject({
      allow: servers.describe('The only servers that are allowed, as globs such as *.example.org; empty: all.'),
      deny: servers.describe('Servers that are denied, as globs.'),
    })
    .prefault({})
    .describe(what)
}
