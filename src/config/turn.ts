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
        'The secret that Hearth and the TURN servers share (static-auth-secret of coturn): each user gets credentials that expire.',
      example: 'a long random text',
    }),
    username: z.string().min(1).optional().meta({
      description: 'Without a shared secret: the one user name for everybody.',
      example: 'hearth',
    }),
    password: z.string().min(1).optional().meta({
      description: 'Without a shared secret: the one password for everybody.',
      example: 'secret',
    }),
    lifetime: duration.prefault('24h').describe('How long credentials work; clients ask again in time.'),
    guests: z.boolean().prefault(true).describe('Whether guests get credentials.'),
  })
  .refine(
    ({ uris, shared_secret, username, password }) => uris.length === 0 || shared_secret || (username && password),
    { message: 'expected shared_secret, or username and password, beside uris', path: ['shared_secret'] },
  )
  .prefault({})
  .describe('Servers that relay calls of two people between networks that cannot reach each other.')
