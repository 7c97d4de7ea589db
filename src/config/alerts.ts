import { z } from 'zod'
import { duration } from './units.ts'

const percent = z.number().min(0).max(100)

/** The section `alerts`. */
export const alerts = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether to alert. Alerts need figures.enabled. They are in the log and on the page for administrators.',
      ),
    notices: z
      .boolean()
      .prefault(true)
      .describe('Whether to send them to administrators as server notices, if server_notices.localpart is set.'),
    email: z
      .array(z.email('expected an email address'))
      .max(20)
      .prefault([])
      .describe('Addresses to send them to, if email.smtp_url is set.'),
    webhook: z
      .url({ protocol: /^https?$/, error: "expected a URL such as 'https://example.org/alerts'" })
      .optional()
      .meta({
        description: 'A URL to send them to as JSON, by POST: docs/administration.md. It may be in a private network.',
        example: 'https://example.org/hearth-alerts',
      }),
    disk_used: percent
      .prefault(90)
      .describe('How full the disk with data_dir or the media is, in percent; 0: no alert.'),
    memory_used: percent
      .prefault(95)
      .describe('How much memory of the machine or container is used for five minutes, in percent; 0: no alert.'),
    event_loop_delay: duration
      .prefault('250ms')
      .describe('How late a process is, in the 99th percentile and for five minutes; 0s: no alert.'),
    pool_wait: duration
      .prefault('100ms')
      .describe('How long callers wait for a database connection on average in five minutes; 0s: no alert.'),
    queue_age: duration
      .prefault('10m')
      .describe('How long the oldest event, push notification or job waits that could be processed; 0s: no alert.'),
    certificate_expiry: duration
      .prefault('14d')
      .describe('How long before their expiry to alert about certificates; 0s: no alert.'),
    failing_servers: percent
      .prefault(50)
      .describe('How many of at least ten remote servers do not respond, in percent; 0: no alert.'),
  })
  .prefault({})
  .describe('Alerts to administrators, once when a condition begins and once when it has ended.')
