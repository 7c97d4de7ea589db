import { z } from 'zod'
import { duration } from './units.ts'

const smtpUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^smtps?:$/.test(new URL(text).protocol),
    "expected a URL such as 'smtp://user:password@mail.example.org:587'",
  )

/** The section `email`. */
export const email = z
  .strictObject({
    smtp_url: smtpUrl.optional().meta({
      description:
        'The mail server; smtps:// for TLS from the start. Absent: Hearth sends no mail, and accounts have no e-mail addresses.',
      example: 'smtp://hearth:secret@mail.example.org:587',
    }),
    from: z.string().min(3).optional().meta({
      description: 'The sender of all mails.',
      example: 'Example chat <noreply@example.org>',
    }),
    require_tls: z
      .boolean()
      .prefault(true)
      .describe('Whether to send nothing over a connection without TLS. Mail servers on this machine may have none.'),
    client_url: z
      .url('expected a URL')
      .prefault('https://matrix.to')
      .describe(
        'The client that mails link to, such as https://app.element.io. With matrix.to readers choose their own.',
      ),
    digest_delay: duration
      .prefault('10m')
      .describe('How long a message stays unread before a mail tells of it, where the user asked for that.'),
    digest_longest_delay: duration
      .prefault('24h')
      .describe('The time between such mails doubles, up to this, until the user has read what they told of.'),
  })
  .refine(({ smtp_url, from }) => smtp_url === undefined || from !== undefined, {
    message: 'expected a sender beside smtp_url',
    path: ['from'],
  })
  .prefault({})
  .describe('Mail that Hearth sends: what users missed, and links that prove addresses.')
