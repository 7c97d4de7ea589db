import { z } from 'zod'
import { patterns } from './patterns.ts'
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
        'The mail server; smtps:// for TLS from the start. Absent: Hearth sends no mail, and accounts cannot have e-mail addresses.',
      example: 'smtp://hearth:secret@mail.example.org:587',
    }),
    from: z.string().min(3).optional().meta({
      description: 'The From address of all mails.',
      example: 'Example chat <noreply@example.org>',
    }),
    require_tls: z
      .boolean()
      .prefault(true)
      .describe('Whether to refuse connections without TLS. A mail server on this machine may lack it.'),
    allowed_domains: patterns.describe(
      "The domains of addresses that accounts may have, such as [example.org, '*.example.org']. Empty: all except blocked_domains.",
    ),
    blocked_domains: patterns.describe(
      "Domains of addresses that no account may have, such as ['*.mailinator.com']. Addresses that accounts have already stay valid.",
    ),
    client_url: z
      .url('expected a URL')
      .prefault('https://matrix.to')
      .describe(
        'The client that mails link to, such as https://app.element.io. With matrix.to, readers choose a client.',
      ),
    digest_delay: duration
      .prefault('10m')
      .describe('How long a message stays unread before Hearth sends a mail about it, if the user enabled mails.'),
    digest_longest_delay: duration
      .prefault('24h')
      .describe('The longest interval between such mails. The interval doubles until the user has read the messages.'),
    notices: z
      .strictObject({
        sign_in: z
          .boolean()
          .prefault(true)
          .describe(
            'Whether to send a notice of each new sign-in to the account, with its device and network address.',
          ),
        account_changes: z
          .boolean()
          .prefault(true)
          .describe(
            'Whether to send a notice of a new password, and of new and removed e-mail addresses and second factors.',
          ),
      })
      .prefault({})
      .describe('Notices to the addresses of an account, by which users learn that somebody else uses it.'),
  })
  .refine(({ smtp_url, from }) => smtp_url === undefined || from !== undefined, {
    message: 'smtp_url needs a sender',
    path: ['from'],
  })
  .prefault({})
  .describe('Mail that Hearth sends: missed messages, links that confirm addresses, and notices about the account.')
