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
