import { z } from 'zod'
import { duration } from './units.ts'

const text = z.string().min(1).max(1000)

/** Checks by the names that synapse-http-antispam gives them; Hearth adds the last one. */
const SPAM_CHECKS = [
  ...['user_may_join_room', 'accept_make_join', 'user_may_invite', 'federated_user_may_invite'],
  ...['user_may_send_3pid_invite', 'user_may_create_room', 'user_may_create_room_alias', 'user_may_publish_room'],
  ...['check_username_for_spam', 'check_login_for_spam', 'check_event_for_spam'],
  'check_registration_for_spam',
] as const

const checks = z.array(z.enum(SPAM_CHECKS))

/** The section `spam_checks`. */
export const spamChecks = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "expected a URL such as 'http://localhost:8082/api/1/spam_check'" })
      .optional()
      .meta({
        description:
          'The URL of the service; Hearth posts each check to the path of its name below it. docs/administration.md describes requests and answers. Absent: nothing is checked.',
        example: 'http://localhost:8082/api/1/spam_check',
      }),
    token: text
      .optional()
      .meta({ description: 'A token that Hearth sends, as Authorization: Bearer.', example: 'a secret' }),
    token_file: text
      .optional()
      .meta({ description: 'A file with that token, instead of token.', example: '/etc/hearth/spam-checks.token' }),
    checks: checks
      .prefault([])
      .describe(`The checks to send: ${SPAM_CHECKS.join(', ')}. The service has to answer all of these.`),
    without_waiting: checks
      .prefault([])
      .describe('Checks whose answer is not awaited: the service only learns what happens.'),
    fail_open: checks
      .prefault(['check_event_for_spam'])
      .describe(
        'Checks that allow what users do while the service does not answer, or not as it should. The others then refuse it.',
      ),
    timeout: duration.prefault('10s').describe('How long a check may take.'),
    max_concurrent: z.int().positive().prefault(50).describe('How many checks each process sends at the same time.'),
  })
  .refine(({ token, token_file }) => token === undefined || token_file === undefined, {
    message: 'set either token or token_file',
    path: ['token'],
  })
  .refine(({ url, checks: sent }) => url === undefined || sent.length > 0, {
    message: 'name the checks to send',
    path: ['checks'],
  })
  .prefault({})
  .describe(
    'A service that decides about spam, such as Draupnir or Meowlnir. It speaks the protocol of synapse-http-antispam.',
  )
