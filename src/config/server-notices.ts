import { z } from 'zod'

/** The section `server_notices`. */
export const serverNotices = z
  .strictObject({
    localpart: z
      .string()
      .regex(/^[a-z0-9._=/+-]+$/, "expected the part of a user id before the colon, such as 'notices'")
      .optional()
      .meta({
        description:
          'The user who sends notices; Hearth makes the account, nobody can log in to it. Absent: administrators cannot send notices.',
        example: 'notices',
      }),
    display_name: z.string().min(1).max(256).prefault('Server notices').describe("That user's display name."),
    avatar_url: z
      .string()
      .startsWith('mxc://', "expected a URL such as 'mxc://example.org/abc'")
      .optional()
      .meta({ description: 'The avatar of that user and of the rooms.', example: 'mxc://example.org/abc' }),
    room_name: z.string().min(1).prefault('Server notices').describe('The name of the room that each user gets.'),
    room_topic: z.string().optional().meta({
      description: 'The topic of these rooms.',
      example: 'Messages from those who run this server',
    }),
  })
  .prefault({})
  .describe(
    'Messages of the server to its users, which administrators send by POST /_synapse/admin/v1/send_server_notice.',
  )
