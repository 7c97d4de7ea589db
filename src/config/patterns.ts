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

/** The setting for servers that are allowed or denied; `what` they may do. */
export function serverLists(what: string) {
  return z
    .strictObject({
      allow: patterns.describe('The only servers that are allowed, as globs such as *.example.org; empty: all.'),
      deny: patterns.describe('Servers that are denied, as globs.'),
    })
    .prefault({})
    .describe(what)
}
