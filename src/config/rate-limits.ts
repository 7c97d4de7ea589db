import { z } from 'zod'

const rate = z.number().positive()
const burst = z.int().positive()

function category(perSecond: number, burstCount: number, what: string) {
  return z
    .strictObject({
      per_second: rate.prefault(perSecond).describe('How many requests a second on average.'),
      burst: burst.prefault(burstCount).describe('How many at once, after a pause.'),
    })
    .prefault({})
    .describe(what)
}

/** The section `rate_limits`: one bucket per category, each refilled at `per_second` up to `burst`. */
export const rateLimits = z
  .strictObject({
    enabled: z.boolean().prefault(true).describe('Whether clients are limited at all.'),
    default: category(
      50,
      200,
      'Requests of one user that no other category counts. Large ones count for more: for one more with each 64 KiB, and with each 250 users and devices whose keys they want.',
    ),
    message: category(5, 60, 'Events and reports that one user sends.'),
    login: category(
      0.2,
      10,
      'Attempts to log in or to prove a password, per network address and per account; mails that are asked for to one e-mail address.',
    ),
    registration: category(0.2, 5, 'Registrations from one address.'),
    join: category(1, 30, 'Rooms that one user joins.'),
    invite: category(1, 50, 'Invitations that one user sends, those to a new room included.'),
    room_creation: category(0.2, 10, 'Rooms that one user creates.'),
    media: category(10, 100, 'Files that one user uploads, downloads or has previewed.'),
    search: category(2, 20, 'Searches of messages, users and public rooms by one user.'),
    delayed_event: category(5, 60, 'Delayed events that one user schedules, restarts or cancels.'),
    push: category(10, 500, 'Notifications of one user that push gateways are sent; others come later.'),
    federation: category(100, 500, 'Requests of one other homeserver.'),
    key_query: category(20, 1000, 'Servers of which anybody in one network asks this one for the keys (as a notary).'),
  })
  .prefault({})
  .describe(
    'How much one user, address or server may ask for. Application services whose registration says rate_limited: false are not limited.',
  )
