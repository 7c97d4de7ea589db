import { z } from 'zod'
import { byteSize, duration } from './units.ts'

type Table = Readonly<Record<string, readonly [value: string | number, what: string]>>

/** Bytes of one stored item, as JSON text. */
const SIZES = {
  account_data: ['1M', 'One entry of account data; all tags of a room are one entry.'],
  to_device_message: ['256K', 'The content of one to-device message.'],
  device_keys: ['32K', 'The identity keys of one device with their signatures, or one cross-signing key.'],
  one_time_key: ['8K', 'One one-time key or fallback key.'],
  backup_key: ['64K', 'The data of one key in a key backup.'],
  backup_auth_data: ['64K', 'The auth_data of one key backup.'],
  dehydrated_device: ['256K', 'The data of a dehydrated device.'],
  filter: ['64K', 'One stored filter.'],
  sliding_config: ['64K', 'The different configurations of lists and subscriptions in one request of sliding sync.'],
  pusher: ['16K', 'One pusher, its data included.'],
  oauth_client: ['16K', 'The registered metadata of one OAuth client.'],
  stripped_state: [
    '64K',
    'The stripped state of one invite or knock. If it is larger, the least important events are dropped.',
  ],
  authenticated_request: ['128K', 'One request that is stored during user-interactive authentication.'],
} as const satisfies Table

/** Bytes of all items of a kind together. */
const TOTALS = {
  account_data: ['16M', 'All account data of one user.'],
  to_device_inbox: [
    '64M',
    'The to-device inbox of one device. When it is full, messages of the senders with the most bytes are dropped.',
  ],
  server_inbox: [
    '256M',
    'The inbox of one other server: stored events whose references are missing. When it is full, transactions of that server are refused with M_LIMIT_EXCEEDED.',
  ],
  server_outbox: [
    '256M',
    'To-device messages and other EDUs in the outbox for one other server. When it is full, EDUs of the users with the most bytes are dropped.',
  ],
  to_device_request: ['256M', 'To-device messages of one request, counted once for each device that gets a copy.'],
  delayed_events: [
    '2M',
    'The contents of all delayed events of one user that are scheduled; the same limit applies to finished ones.',
  ],
  device_keys: ['8M', 'The identity keys of all devices of one user.'],
  key_backups: ['2G', 'All keys in all backups of one user.'],
  unread_answers_of_user: ['128M', 'Unread large responses to one user or one other server in one process.'],
  unread_answers: ['512M', 'All unread large responses in one process.'],
} as const satisfies Table

/** Numbers of items. */
const COUNTS = {
  devices: [
    2000,
    'Devices of one user. A login beyond the limit removes the device that was unused for the longest time.',
  ],
  one_time_keys: [5000, 'One-time keys of one device.'],
  fallback_keys: [20, 'Fallback keys of one device: one for each algorithm.'],
  backup_keys: [1_000_000, 'Keys in all backups of one user.'],
  backup_versions: [100, 'Key backups of one user that are not deleted.'],
  filters: [1000, 'Stored filters of one user.'],
  personal_tokens: [100, 'Personal tokens of one user.'],
  pushers: [100, 'Pushers of one user.'],
  pending_invites: [1000, 'Pending invites of one user.'],
  pending_invites_by_server: [250, 'Pending invites of one user from users of one other server.'],
  thread_subscriptions: [100_000, 'Thread subscriptions of one user, including ended ones.'],
  to_device_messages: [10_000, 'To-device messages in one request.'],
  key_servers: [2000, 'Other servers that one request queries for keys; further ones are listed in failures.'],
  key_claims: [10_000, 'One-time keys that one request claims.'],
  key_queries: [50_000, 'Users and devices whose keys one request queries.'],
  room_aliases: [1000, 'Local aliases of one room.'],
  rendezvous: [10, 'Rendezvous sessions (sign-in by QR code) of one user, or of one network without an account.'],
  rendezvous_of_network: [
    200,
    'Rendezvous sessions of one wide network (an IPv6 /48 or an IPv4 /24) without an account.',
  ],
  rendezvous_in_all: [
    10_000,
    'Rendezvous sessions of all users; the same number applies to all clients without an account.',
  ],
  device_grants: [100, 'Devices of one network that wait until a user approves them with a code.'],
  device_grants_of_network: [1000, 'The same for one wide network (an IPv6 /48 or an IPv4 /24).'],
  device_grants_in_all: [10_000, 'The same for all networks.'],
  servers_of_partial_room: [
    5000,
    'Servers that a resident server lists in a partial-state join and that get events before the members are known.',
  ],
  signed_keys: [1000, 'Keys with new signatures in one request.'],
  push_rule_steps: [
    1_000_000,
    'Conditions of the push rules of one user, plus characters that they examine, for one event: enough for 500 keywords and a message of 2000 characters. Rules beyond the limit do not match.',
  ],
  waiting_requests: [
    500,
    'Waiting syncs of one user in one process. Beyond the limit, the one that has waited longest is answered.',
  ],
  delegated_leaves: [100, 'Leave events of calls that one user has handed over to this server.'],
  delegated_leaves_of_server: [1000, 'The same for all users of one other server.'],
  delegated_leaves_in_all: [50_000, 'The same for all users.'],
  websockets: [100, 'WebSockets of one user in one process.'],
  initial_state: [500, 'State events in initial_state when a room is created.'],
} as const satisfies Table

/** Byte limits for the parts of one response. */
const ANSWERS = {
  events: ['32M', 'Timeline events of all rooms of a sync; with many rooms, each gets fewer events.'],
  timeline: ['4M', 'Timeline events of one room of a sync.'],
  room_state: [
    '128M',
    'State of all rooms of a sync, or of one room; beyond the limit, the largest events are omitted.',
  ],
  page: ['8M', 'Events in one page of any list.'],
  keys: ['32M', 'Identity keys of devices; beyond the limit, devices of the users with the most bytes are omitted.'],
  stripped_state: ['8M', 'Stripped state of all invites; with many invites, each gets less.'],
  profiles: ['16M', 'Profile fields of other users in a response of either sync.'],
  to_device: ['8M', 'To-device messages in one /sync response, or in one transaction to an application service.'],
} as const satisfies Table

/** Concurrent requests to other servers. */
const REMOTE_REQUESTS = {
  user: [100, 'On behalf of one user.'],
  users: [400, 'On behalf of all users.'],
  server: [32, 'Caused by one other server, such as key requests for the events that it relays.'],
  servers: [128, 'Caused by all other servers.'],
  network: [10, 'On behalf of clients without an account in one network: an IPv4 address or an IPv6 /64.'],
  networks: [50, 'On behalf of all clients without an account.'],
  waiting: [500, 'Queued requests of each of these; further ones are refused with M_LIMIT_EXCEEDED.'],
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

/** The section `limits`; docs/security.md lists these and the fixed limits. */
export const limits = z
  .strictObject({
    request_size: byteSize.prefault('10M').describe('The maximum request body, except media uploads.'),
    request_timeout: duration.prefault('60s').describe('How long a client may take to send a request.'),
    answer_timeout: duration
      .prefault('60s')
      .describe(
        'How long a client may read nothing of a large response before its connection is closed. A slow reader is not affected.',
      ),
    sizes: section(SIZES, byteSize, 'Maximum sizes of single stored items, in bytes.'),
    totals: section(TOTALS, byteSize, 'Maximum total sizes, in bytes.'),
    answers: section(
      ANSWERS,
      byteSize,
      'Maximum sizes of the parts of one response, in bytes; the rest follows in the next response.',
    ),
    counts: section(COUNTS, z.int().positive(), 'Maximum numbers of items.'),
    remote_requests: section(
      REMOTE_REQUESTS,
      z.int().positive(),
      'How many concurrent requests each process makes to other servers because of a client or another server. The same numbers apply separately to media downloads.',
    ),
  })
  .prefault({})
  .describe(
    'Limits for data from users and other servers. The defaults are far above what clients use. A request over a limit is refused with M_TOO_LARGE; data of other servers over a limit is dropped.',
  )
