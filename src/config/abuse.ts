import { z } from 'zod'
import { patterns, serverLists } from './patterns.ts'
import { duration } from './units.ts'

const roomId = z.string().regex(/^!\S{1,254}$/, "expected a room id such as '!abc:example.org'")
const perHour = z.int().positive()

const newAccounts = z
  .strictObject({
    age: duration.prefault('0s').describe('Up to which age accounts have these limits; 0s: none has them.'),
    messages: perHour.prefault(600).describe('Messages and reports per hour.'),
    invites: perHour.prefault(20).describe('Invites per hour, including those to a new room.'),
    joins: perHour.prefault(30).describe('Joins per hour.'),
    room_creations: perHour.prefault(10).describe('New rooms per hour.'),
  })
  .prefault({})
  .describe('Limits for new accounts, in addition to rate_limits: spammers use fresh ones.')

const roomAcl = z
  .strictObject({
    allow: patterns.prefault(['*']).describe('Servers that may take part, as globs.'),
    deny: patterns.describe('Servers that may not take part, as globs.'),
    allow_ip_literals: z.boolean().prefault(true).describe('Whether servers named by an IP address may take part.'),
  })
  .prefault({})
  .describe(
    'The m.room.server_acl of rooms that users create, unless their client sets another. By default new rooms have none.',
  )

/** The section `abuse`. */
export const abuse = z
  .strictObject({
    invites: serverLists('Servers with which users exchange invites.'),
    joins: serverLists(
      'Servers whose rooms users may join, and whose users may join rooms through this server. The rooms of a server are those whose id names it.',
    ),
    policy_rooms: z
      .array(roomId)
      .max(100)
      .prefault([])
      .describe(
        'Moderation policy lists (rooms with m.policy.rule.* state): invites and joins by banned users, of banned servers and to banned rooms are refused. A user of this server has to be in each of these rooms.',
      ),
    room_acl: roomAcl,
    new_accounts: newAccounts,
  })
  .prefault({})
  .describe('Protection against spam and harassment: docs/administration.md.')
