import { z } from 'zod'

/** matrix-rust-sdk sends null for absent values. */
const text = z
  .string()
  .max(255)
  .nullish()
  .transform((value) => value ?? undefined)

/**
 * https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api; further keys depend on the
 * stage.
 */
export const authData = z.looseObject({ type: text, session: text })
