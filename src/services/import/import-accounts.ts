import type { UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { type ImportStep, rowStep, textOf } from './import-step.ts'
import { configuredId } from './synapse-providers.ts'

type UserRow = {
  name: UserId
  password_hash: string | null
  creation_ts: number | null
  admin: number
  is_guest: number
  deactivated: number
  user_type: string | null
  locked: unknown
  suspended: unknown
  shadow_banned: unknown
  is_erased: unknown
  messages_per_second: number | null
  burst_count: number | null
}

const users = rowStep<UserRow>({
  name: 'users',
  table: 'users',
  columns: `users.name, password_hash, creation_ts, admin, is_guest, deactivated, user_type, locked, suspended,
    shadow_banned, erased_users.user_id is not null as is_erased, messages_per_second, burst_count`,
  from: `users left join erased_users on erased_users.user_id = users.name
    left join ratelimit_override on ratelimit_override.user_id = users.name`,
  key: ['users.name'],
  store: (tx, rows, { now, synapse }) =>
    insertRows(
      tx,
      'users',
      rows.map((row) => ({
        user_id: row.name,
        // With MAS, what Synapse has is from before.
        password_hash: row.password_hash === '' || row.deactivated || synapse.usesMas ? null : row.password_hash,
        is_admin: Boolean(row.admin) && !row.deactivated,
        is_guest: Boolean(row.is_guest),
        locked: Boolean(row.locked),
        suspended: Boolean(row.suspended),
        shadow_banned: Boolean(row.shadow_banned),
        created_ts: millisecondsOf(row.creation_ts ?? 0),
        deactivated_ts: row.deactivated ? now : null,
        erased: Boolean(row.is_erased),
        user_type: row.user_type,
        messages_per_second: row.messages_per_second,
        message_burst: row.messages_per_second === null ? null : (row.burst_count ?? 0),
        exempt_from_rate_limits: false,
        in_directory: false,
        sign_in_mails: true,
      })),
    ),
})

/** Synapse stores seconds. */
function millisecondsOf(seconds: number): number {
  return seconds * 1000
}

const profiles = rowStep<{
  user_id: UserId
  displayname: string | null
  avatar_url: string | null
  fields: string | null
}>({
  name: 'profiles',
  table: 'profiles',
  columns: 'users.name as user_id, profiles.displayname, profiles.avatar_url, cast(profiles.fields as text) as fields',
  from: 'profiles join users on users.name = profiles.full_user_id',
  key: ['users.name'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'profiles',
      rows.map(({ user_id, displayname, avatar_url, fields }) => ({
        user_id,
        displayname: displayname || null,
        avatar_url: avatar_url || null,
        fields: fields ?? '{}',
      })),
    ),
})

const addresses = rowStep<{ user_id: UserId; medium: string; address: string; validated_at: number; added_at: number }>(
  {
    name: 'addresses',
    table: 'threepids',
    columns: 'user_id, medium, address, validated_at, added_at',
    from: 'user_threepids join users on users.name = user_id',
    key: ['medium', 'address'],
    store: (tx, rows) =>
      insertRows(
        tx,
        'threepids',
        rows.map(({ user_id, medium, address, validated_at, added_at }) => ({
          user_id,
          medium,
          address,
          validated_ts: validated_at,
          added_ts: added_at,
        })),
      ),
  },
)

const links = rowStep<{ auth_provider: string; external_id: string; user_id: UserId }>({
  name: 'links to identity providers',
  table: 'upstream_links',
  columns: 'auth_provider, external_id, user_id',
  from: 'user_external_ids join users on users.name = user_id',
  key: ['auth_provider', 'external_id'],
  store: (tx, rows, { now, providers }) =>
    insertRows(
      tx,
      'upstream_links',
      rows.map(({ auth_provider, external_id, user_id }) => ({
        provider_id: configuredId(providers, auth_provider) ?? auth_provider,
        subject: external_id,
        user_id,
        label: external_id,
        linked_ts: now,
      })),
    ),
})

const filters = rowStep<{ user_id: UserId; filter_id: number; filter_json: string | Uint8Array }>({
  name: 'filters',
  table: 'filters',
  columns: 'users.name as user_id, filter_id, filter_json',
  from: 'user_filters join users on users.name = full_user_id',
  key: ['users.name', 'filter_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'filters',
      rows.map(({ user_id, filter_id, filter_json }) => ({
        user_id,
        filter_id: String(filter_id),
        filter: textOf(filter_json),
      })),
    ),
})

type DataRow = { user_id: UserId; type: string; content: string }

const accountData = rowStep<DataRow>({
  name: 'account data',
  table: 'account_data',
  columns: 'user_id, account_data_type as type, content',
  from: 'account_data join users on users.name = user_id',
  where: "account_data_type <> 'm.push_rules'",
  key: ['user_id', 'account_data_type'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'account_data',
      rows.map((row) => ({ ...keyOf(row), room_id: '', content: row.content })),
    ),
})

const roomAccountData = rowStep<DataRow & { room_id: string }>({
  name: 'account data of rooms',
  table: 'account_data',
  columns: 'user_id, room_id, account_data_type as type, content',
  from: 'room_account_data join users on users.name = user_id',
  // Tags are in a table of their own.
  where: "account_data_type <> 'm.tag'",
  key: ['user_id', 'room_id', 'account_data_type'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'account_data',
      rows.map((row) => ({ ...keyOf(row), room_id: row.room_id, content: row.content })),
    ),
})

function keyOf({ user_id, type }: DataRow) {
  return { user_id, type }
}

type TagRow = { user_id: UserId; room_id: string; tag: string; content: string }

/** The key is that of the rooms: a room's tags are one entry of account data. */
const tags = rowStep<{ user_id: UserId; room_id: string }>({
  name: 'tagged rooms',
  table: 'account_data',
  columns: 'user_id, room_id',
  from: '(select distinct user_id, room_id from room_tags join users on users.name = user_id) as tagged',
  key: ['user_id', 'room_id'],
  async store(tx, rows, { main }) {
    const found = await main.query<TagRow>(
      'select user_id, room_id, tag, content from room_tags where user_id = any($1)',
      [[...new Set(rows.map(({ user_id }) => user_id))]],
    )
    const byRoom = Map.groupBy(found, ({ user_id, room_id }) => `${user_id} ${room_id}`)
    return insertRows(
      tx,
      'account_data',
      rows.map(({ user_id, room_id }) => ({
        user_id,
        room_id,
        type: 'm.tag',
        content: JSON.stringify({ tags: tagsOf(byRoom.get(`${user_id} ${room_id}`)!) }),
      })),
    )
  },
})

function tagsOf(rows: readonly TagRow[]): JsonObject {
  return Object.fromEntries(rows.map(({ tag, content }) => [tag, JSON.parse(content)]))
}

const noticeRooms = rowStep<{ user_id: UserId; room_id: string }>({
  name: 'rooms of server notices',
  columns: 'user_id, room_id',
  from: 'room_tags join users on users.name = user_id',
  where: "tag = 'm.server_notice'",
  key: ['user_id', 'room_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'server_notice_rooms',
      rows.map(({ user_id, room_id }) => ({ user_id, room_id })),
    ),
})

type RegistrationTokenRow = {
  token: string
  uses_allowed: number | null
  completed: number
  expiry_time: number | null
}

const registrationTokens = rowStep<RegistrationTokenRow>({
  name: 'registration tokens',
  table: 'registration_tokens',
  columns: 'token, uses_allowed, completed, expiry_time',
  from: 'registration_tokens',
  key: ['token'],
  store: (tx, rows, { now }) =>
    insertRows(
      tx,
      'registration_tokens',
      rows.map(({ token, uses_allowed, completed, expiry_time }) => ({
        token,
        uses_allowed,
        uses_completed: completed,
        expires_ts: expiry_time,
        // Synapse does not store when a token was created.
        created_ts: now,
      })),
    ),
})

/** Accounts, and what belongs to a user alone. */
export const ACCOUNT_STEPS: readonly ImportStep[] = [
  ...[users, profiles, filters, accountData, roomAccountData, tags, noticeRooms],
]

/** How users sign in and register. MAS has its own instead. */
export const SIGN_IN_STEPS: readonly ImportStep[] = [addresses, links, registrationTokens]
