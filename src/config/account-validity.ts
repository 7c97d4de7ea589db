import { z } from 'zod'
import { duration } from './units.ts'

/** The section `account_validity`. */
export const accountValidity = z
  .strictObject({
    period: duration.optional().meta({
      description:
        'How long an account is valid after its registration or renewal. Afterwards the user can only log out and renew it. Accounts that exist when you set this are valid for one period from then on. Absent: accounts do not expire. Administrators never do.',
      example: '365d',
    }),
    renew_by_mail: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether users get a link that renews the account, by mail. Otherwise only administrators can renew it.',
      ),
    mail_before: duration
      .prefault('14d')
      .describe('How long before the account expires the link is mailed. It is mailed again at a sign-in afterwards.'),
  })
  .prefault({})
  .describe(
    'Accounts that expire, for instance when people leave an organisation. Needs the section email for the mails.',
  )
