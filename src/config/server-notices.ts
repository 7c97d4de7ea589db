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
          'The local part of the user that sends notices. Hearth creates the account, and logins to it are refused. Absent: administrators cannot send notices.',
        example: 'notices',
      }),
    display_name: z.string().min(1).max(256).prefault('Server notices').describe('The display name of that user.'),
    avatar_url: z
      .string()
      .startsWith('mxc://', "expected a URL such as 'mxc://example.org/abc'")
      .optional()
      .meta({ description: 'The avatar of that user and of the rooms.', example: 'mxc://example.org/abc' }),
    room_name: z.string().min(1).prefault('Server notices').describe('The name of the room that each user gets.'),
    room_topic: z.string().optional().meta({
      description: 'The topic of these rooms.',
      example: 'Messages from the administrators of this server',
    }),
  })
  .prefault({})
  .describe('Notices to users, which administrators send by POST /_synapse/admin/v1/send_server_notice.')
