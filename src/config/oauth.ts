import { z } from 'zod'
import { duration } from './units.ts'

/** The section `oauth`. */
export const oauth = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether clients may sign in on web pages of this server (OAuth 2.0), as Element X needs. Other clients use /login in any case.',
      ),
    unused_client_lifetime: duration
      .prefault('30d')
      .describe(
        'How long the registration of a client is kept after its last use. Clients with a session are never removed.',
      ),
    development_clients: z
      .boolean()
      .prefault(false)
      .describe('Whether web clients at http://localhost may register, for the development of clients.'),
  })
  .prefault({})
  .describe('Sign-in through OAuth 2.0.')
