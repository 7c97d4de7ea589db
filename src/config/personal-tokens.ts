import { z } from 'zod'
import { duration } from './units.ts'

/** The section `personal_tokens`. */
export const personalTokens = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe('Whether users may create personal tokens. The command hearth token create always works.'),
    max_lifetime: duration.optional().meta({
      description: 'The longest lifetime that a user may choose. Absent: tokens may be valid until they are revoked.',
      example: '365d',
    }),
  })
  .prefault({})
  .describe('Personal tokens: access tokens that users create for bots and scripts, on the account page or by API.')
