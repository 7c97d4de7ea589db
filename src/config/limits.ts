import { z } from 'zod'
import { byteSize, duration } from './units.ts'

type Table = Readonly<Record<string, readonly [value: string | number, what: string]>>

/** Bytes of one thing that is kept, as JSON text. */
const SIZES = {
  account_data: ['1M', 'One entry of account data; the tags of one room are one.'],
  to_device_message: ['256K', 'The content of one message to a device.'],
  device_keys: ['32K', 'The identity keys of one device with their signatures, or one cross-signing key.'],
  one_time_key: ['8K', 'One one-time key or fallback key.'],
  backup_key: ['64K', 'The data of one key in a key backup.'],
  backup_auth_data: ['64K', 'The auth_data of one key backup.'],
  dehydrated_device: ['256K', 'The data of a dehydrated device.'],
  filter: ['64K', 'One stored filter.'],
  sliding_config: ['64K', 'The different configurations of lists and subscriptions in one request of sliding sync.'],
  pusher: ['16K', 'One pusher, its data included.'],
  stripped_state: [
    '64K',
    'What a room tells of itself along with an invite or a knock; of more, the most important stays.',
  ],
  authenticated_request: ['128K', 'A request that is kept while its sender authenticates.'],
} as const satisfies Table

/** Bytes of all things of a kind together. */
const TOTALS = {
  account_data: ['16M', 'All account data of one user.'],
  to_device_inbox: [
    '64M',
    'Messages that wait for one device. From a full inbox, messages go of those who fill it most.',
  ],
  server_inbox: [
    '256M',
    'Events that one other server has sent and that wait for what they refer to, as the database keeps them. While there are more, that server is told to send later.',
  ],
  server_outbox: [
    '256M',
    'Messages to devices and other news beside events that wait for one other server. From a full outbox, those go of the users who fill it most.',
  ],
  to_device_request: ['256M', 'Messages to devices of one request, counted once for each device that gets a copy.'],
  delayed_events: [
    '2M',
    'The contents of all events that one user has scheduled; as much is kept of those that ended.',
  ],
  device_keys: ['8M', 'The identity keys of all devices of one user.'],
  key_backups: ['2G', 'All keys in all backups of one user.'],
  unread_answers_of_user: [
    '128M',
    'Large answers to one user, or one other server, that wait to be read in one process.',
  ],
  unread_answers: ['512M', 'All large answers that wait to be read in one process.'],
} as const satisfies Table

/** How many of a kind there can be. */
const COUNTS = {
  devices: [2000, 'Devices of one user. Beyond, each login ends the device that was not used for the longest time.'],
  one_time_keys: [5000, 'One-time keys of one device.'],
  fallback_keys: [20, 'Fallback keys of one device: it has one for each algorithm.'],
  backup_keys: [1_000_000, 'Keys in all backups of one user.'],
  backup_versions: [100, 'Key backups of one user that are not deleted.'],
  filters: [1000, 'Stored filters of one user.'],
  pushers: [100, 'Pushers of one user.'],
  pending_invites: [1000, 'Invites of one user that are not answered.'],
  pending_invites_by_server: [250, 'The same by users of one other server.'],
  thread_subscriptions: [100_000, 'Threads about which one user has said whether to follow them.'],
  to_device_messages: [10_000, 'Messages to devices in one request.'],
  key_servers: [2000, 'Other servers that are asked for keys in one request; the others are among its failures.'],
  key_claims: [10_000, 'One-time keys that are claimed in one request.'],
  key_queries: [50_000, 'Users and devices whose keys are asked for in one request.'],
  room_aliases: [1000, 'Aliases that users give to one room.'],
  rendezvous: [10, 'Rendezvous sessions (sign-in by QR code) of one user, or of one network without an account.'],
  rendezvous_of_network: [200, 'The same of one wide network without an account: an IPv6 /48 or an IPv4 /24.'],
  rendezvous_in_all: [10_000, 'The same of all users; and once more of all without an account.'],
  servers_of_partial_room: [
    5000,
    'Servers that another server names as those in a room that is being joined, and that get its events before its members are known.',
  ],
  signed_keys: [1000, 'Keys with new signatures in one request.'],
  push_rule_steps: [
    1_000_000,
    'Conditions of the push rules that one user has made, and characters that these look at, for one event: enough for 500 keywords and a message of 2000 characters. Those rules that come after do not match.',
  ],
  waiting_requests: [
    500,
    'Syncs of one user that wait for news in one process. Of more, the one that has waited for the longest time is answered.',
  ],
  websockets: [100, 'WebSockets of one user in one process.'],
  initial_state: [500, 'State events that the creator of a room names.'],
} as const satisfies Table

/** How much one answer has of a kind. */
const ANSWERS = {
  events: ['32M', 'Events in the timelines of all rooms of a sync; of many rooms, each has fewer.'],
  timeline: ['4M', 'Events in the timeline of one room of a sync.'],
  room_state: ['128M', 'State of all rooms of a sync, or of one room; beyond, the largest pieces are left out.'],
  page: ['8M', 'Events in one page of any list of events.'],
  keys: ['32M', 'Identity keys of devices; beyond, those are left out of the users who have most.'],
  stripped_state: ['8M', 'What rooms tell of themselves to those who are invited; of many, each tells less.'],
  to_device: ['8M', 'Messages to a device in one answer of /sync, or in one transaction to an application service.'],
} as const satisfies Table

/** Requests to other servers that are made at a time. */
const REMOTE_REQUESTS = {
  user: [100, 'On behalf of one user.'],
  users: [400, 'On behalf of all users.'],
  server: [32, 'Because of what one other server sends, such as for the keys of those whose events it passes on.'],
  servers: [128, 'Because of what all other servers send.'],
  network: [10, 'On behalf of those without an account in one network: an IPv4 address, or a /64 of IPv6.'],
  networks: [50, 'On behalf of all those without an account.'],
  waiting: [500, 'Requests that wait for their turn, for each of these; more are refused with M_LIMIT_EXCEEDED.'],
} as const satisfies Table

function section<const Entries extends Table, Value extends z.ZodType>(entries: Entries, value: Value, what: string) {
  const shape = Object.fromEntries(
    Object.entries(entries).map(([key, [most, meaning]]) => [key, value.prefault(most as never).describe(meaning)]),
  )
  return z
    .strictObject(shape as { [Key in keyof Entries]: z.ZodPrefault<Value> })
    .prefault({} as never)
    .describe(what)
}

/** The section `limits`; docs/security.md lists these and all limits that are no keys. */
export const limits = z
  .strictObject({
    request_size: byteSize.prefault('10M').describe('The largest body of a request, uploads of media aside.'),
    request_timeout: duration.prefault('60s').describe('How long a client may take to send its request.'),
    answer_timeout: duration
      .prefault('60s')
      .describe('How long a client may leave a large answer unread; one that reads slowly is waited for.'),
    sizes: section(SIZES, byteSize, 'The largest thing of each kind that is kept, in bytes.'),
    totals: section(TOTALS, byteSize, 'How much is kept of each kind in all, in bytes.'),
    answers: section(
      ANSWERS,
      byteSize,
      'How much one answer has of each kind, in bytes; the rest comes with the next.',
    ),
    counts: section(COUNTS, z.int().positive(), 'How many things of each kind there can be.'),
    remote_requests: section(
      REMOTE_REQUESTS,
      z.int().positive(),
      'How many requests each process makes to other servers at a time, besides its own; the same numbers apply once more to files that are being fetched.',
    ),
  })
  .prefault({})
  .describe(
    'Bounds for what users and other servers send. The defaults are far above what clients use. Requests that go over one are refused with M_TOO_LARGE; of what other servers send, that part is dropped.',
  )
