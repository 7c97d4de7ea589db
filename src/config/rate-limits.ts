import { z } from 'zod'

const rate = z.number().positive()
const burst = z.int().positive()

function category(perSecond: number, burstCount: number, what: string) {
  return z
    .strictObject({
      per_second: rate.prefault(perSecond).describe('Average requests per second.'),
      burst: burst.prefault(burstCount).describe('How many requests may come at the same time after a pause.'),
    })
    .prefault({})
    .describe(what)
}

/** The section `rate_limits`: one bucket per category, each refilled at `per_second` up to `burst`. */
export const rateLimits = z
  .strictObject({
    enabled: z.boolean().prefault(true).describe('Whether rate limits apply.'),
    default: category(
      50,
      200,
      'Requests of one user, or without a token of one network address, that no other category counts. A large request counts as one more for each 64 KiB, and for each 250 users and devices whose keys it queries.',
    ),
    message: category(5, 60, 'Events and reports that one user sends.'),
    login: category(
      0.2,
      10,
      'Logins and other password checks, per network address and per account; requested mails, per e-mail address.',
    ),
    second_factor: category(
      0.02,
      10,
      'Codes of authenticator apps and recovery codes that are tried for one account. Per network address, they count as logins.',
    ),
    user_code: category(
      0.1,
      10,
      'Codes of devices that a user enters to sign them in, per account and per network address.',
    ),
    text_message: category(
      0.005,
      5,
      'Text messages with codes, per phone number and per network address that requests them.',
    ),
    registration: category(0.2, 5, 'Registrations from one network address.'),
    oauth: category(
      2,
      100,
      'Beginnings of sign-ins through OAuth 2.0 from one network address: authorization requests, and registrations of new clients.',
    ),
    join: category(1, 30, 'Rooms that one user joins.'),
    invite: category(1, 50, 'Invites that one user sends, including invites to a new room.'),
    room_creation: category(0.2, 10, 'Rooms that one user creates.'),
    media: category(10, 100, 'Files that one user uploads or downloads.'),
    preview: category(2, 200, 'Previews of pages that one user requests.'),
    search: category(2, 20, 'Searches of messages, users and public rooms by one user.'),
    delayed_event: category(5, 60, 'Delayed events that one user schedules or lists.'),
    turn: category(0.1, 20, 'Credentials for TURN servers that one user requests; clients use them for hours.'),
    push: category(10, 500, 'Notifications to push gateways for one user; further ones are delayed.'),
    federation: category(100, 500, 'Requests of one other homeserver.'),
    key_query: category(20, 1000, 'Servers whose keys clients of one network request from this server as a notary.'),
  })
  .prefault({})
  .describe(
    'Request limits per user, network address or server. Application services whose registration has rate_limited: false are not limited.',
  )
