import { isUserId, type UserId } from '../../core/ids.ts'
import { canonicalAddress } from '../../core/text/email-address.ts'
import { ARGON2_SECRET, PASSWORD_PEPPER } from '../../storage/engine/server-secrets.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { updateMasAccounts } from '../../storage/import/store-mas-rows.ts'
import { type ImportContext, type ImportStep, masStep, singleStep } from './import-step.ts'
import { importedHash, type MasProvider, providerIdOf, secretsOf } from './mas-source.ts'

/** A SQL expression for a time of MAS in milliseconds since 1970. */
export const millisecondsOf = (column: string) => `(extract(epoch from ${column}) * 1000)::bigint`

/** Returns the Matrix user of a name in MAS; undefined: there can be none. */
export function userIdOf({ serverName }: Pick<ImportContext, 'serverName'>, username: string): UserId | undefined {
  const userId = `@${username}:${serverName}`
  return isUserId(userId) ? userId : undefined
}

const secrets = singleStep('secrets of passwords (MAS)', async ({ mas }) => {
  const { pepper, argon2 } = secretsOf(mas!.config)
  const rows = [
    ...(pepper === '' ? [] : [{ name: PASSWORD_PEPPER, value: pepper }]),
    ...(argon2 === '' ? [] : [{ name: ARGON2_SECRET, value: argon2 }]),
  ]
  return { read: rows.length, write: (tx) => insertRows(tx, 'server_secrets', rows) }
})

type AccountRow = {
  username: string
  created_ts: number
  locked_ts: number | null
  deactivated_ts: number | null
  is_guest: boolean
  can_request_admin: boolean
  version: number | null
  hash: string | null
}

/** Synapse has the same accounts, unless MAS was about to create one there. */
const accounts = masStep<AccountRow>({
  name: 'accounts (MAS)',
  columns: `username, ${millisecondsOf('users.created_at')} as created_ts, ${millisecondsOf('locked_at')} as locked_ts,
    ${millisecondsOf('deactivated_at')} as deactivated_ts, is_guest, can_request_admin, password.version,
    password.hashed_password as hash`,
  from: `users left join lateral (select version, hashed_password from user_passwords
    where user_passwords.user_id = users.user_id order by created_at desc limit 1) as password on true`,
  key: ['users.user_id'],
  async store(tx, rows, context) {
    const known = rows.flatMap((row) => {
      const user_id = userIdOf(context, row.username)
      return user_id === undefined ? [] : [{ user_id, row }]
    })
    await insertRows(
      tx,
      'users',
      known.map(({ user_id, row: { created_ts, is_guest } }) => ({
        ...{ user_id, created_ts, is_guest },
        ...{ is_admin: false, locked: false, suspended: false, shadow_banned: false, erased: false },
        ...{ exempt_from_rate_limits: false, in_directory: false, sign_in_mails: true },
      })),
    )
    await updateMasAccounts(
      tx,
      known.map(({ user_id, row }) => ({
        user_id,
        password_hash: row.deactivated_ts === null ? hashOf(row, context) : null,
        is_admin: row.can_request_admin && row.deactivated_ts === null,
        locked_ts: row.locked_ts,
        deactivated_ts: row.deactivated_ts,
      })),
    )
    return known.length
  },
})

function hashOf({ version, hash }: AccountRow, { mas }: ImportContext): string | null {
  return version === null || hash === null ? null : importedHash(mas!.config, { version, hash })
}

type AddressRow = { username: string; medium: string; address: string; created_ts: number }

const addresses = masStep<AddressRow>({
  name: 'addresses (MAS)',
  columns: 'username, medium, address, created_ts',
  from: `(select user_id, 'email' as medium, email as address, ${millisecondsOf('created_at')} as created_ts,
      user_email_id::text as id from user_emails
    union all select user_id, medium, address, ${millisecondsOf('created_at')}, medium || address
      from user_unsupported_third_party_ids) as addresses join users using (user_id)`,
  where: 'deactivated_at is null',
  key: ['addresses.user_id', 'addresses.id'],
  store: (tx, rows, context) =>
    insertRows(
      tx,
      'threepids',
      rows.flatMap(({ username, medium, address, created_ts }) => {
        const user_id = userIdOf(context, username)
        if (user_id === undefined) return []
        const canonical = canonicalAddress({ medium, address })
        return { user_id, medium, address: canonical, validated_ts: created_ts, added_ts: created_ts }
      }),
    ),
})

type LinkRow = MasProvider & { username: string; subject: string; label: string | null; linked_ts: number }

const links = masStep<LinkRow>({
  name: 'links to identity providers (MAS)',
  columns: `username, subject, human_account_name as label, ${millisecondsOf('link.created_at')} as linked_ts,
    upstream_oauth_provider_id as id, issuer, client_id`,
  from: `upstream_oauth_links as link join upstream_oauth_providers using (upstream_oauth_provider_id)
    join users using (user_id)`,
  where: 'deactivated_at is null',
  key: ['link.upstream_oauth_link_id'],
  store: (tx, rows, context) =>
    insertRows(
      tx,
      'upstream_links',
      rows.flatMap(({ username, subject, label, linked_ts, ...provider }) => {
        const user_id = userIdOf(context, username)
        if (user_id === undefined) return []
        const provider_id = providerIdOf(context.mas!, provider).id
        return { provider_id, subject, user_id, label: label ?? subject, linked_ts }
      }),
    ),
})

const registrationTokens = masStep<{ token: string }>({
  name: 'registration tokens (MAS)',
  columns: `token, usage_limit as uses_allowed, times_used as uses_completed,
    ${millisecondsOf('created_at')} as created_ts, ${millisecondsOf('last_used_at')} as last_used_ts,
    ${millisecondsOf('expires_at')} as expires_ts, ${millisecondsOf('revoked_at')} as revoked_ts`,
  from: 'user_registration_tokens',
  key: ['user_registration_token_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'registration_tokens',
      rows.map((row) => withoutBookmark(row)),
    ),
})

function withoutBookmark(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('bookmark_')))
}

/** Accounts as the Matrix Authentication Service knows them, and how their users sign in. */
export const MAS_ACCOUNT_STEPS: readonly ImportStep[] = [secrets, accounts, addresses, links, registrationTokens]
