import { z } from 'zod'

/** matrix-rust-sdk writes null where it has nothing. */
const text = z
  .string()
  .max(255)
  .nullish()
  .transform((value) => value ?? undefined)

/** https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api; what else it holds depends on the stage. */
export const authData = z.looseObject({ type: text, session: text })
