import { z } from 'zod'
import { duration } from './units.ts'

const uri = z.string().regex(/^(turns?|stuns?):./, "expected a URI such as 'turn:turn.example.org?transport=udp'")

/** The section `turn`. */
export const turn = z
  .strictObject({
    uris: z
      .array(uri)
      .prefault([])
      .describe(
        "The TURN servers, such as ['turn:turn.example.org?transport=udp', 'turns:turn.example.org?transport=tcp'].",
      ),
    shared_secret: z.string().min(1).optional().meta({
      description:
        'The secret that Hearth and the TURN servers share (static-auth-secret of coturn). Hearth uses it to create credentials that expire, one for each user.',
      example: 'a long random text',
    }),
    username: z.string().min(1).optional().meta({
      description: 'Without a shared secret: the user name for all users.',
      example: 'hearth',
    }),
    password: z.string().min(1).optional().meta({
      description: 'Without a shared secret: the password for all users.',
      example: 'secret',
    }),
    lifetime: duration.prefault('24h').describe('The lifetime of credentials; clients renew them in time.'),
    guests: z.boolean().prefault(true).describe('Whether guests get credentials.'),
  })
  .refine(
    ({ uris, shared_secret, username, password }) => uris.length === 0 || shared_secret || (username && password),
    { message: 'uris needs shared_secret, or username and password', path: ['shared_secret'] },
  )
  .prefault({})
  .describe('TURN servers, which relay one-to-one calls between networks that cannot reach each other.')
