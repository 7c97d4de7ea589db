import type { DeviceId, UserId } from '../../core/ids.ts'
import { rightsOf, withoutAdmin } from '../../core/oauth-scope.ts'
import { ulidOfUuid } from '../../core/ulid.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import {
  type ImportedOAuthSession,
  insertImportedSessions,
  takeSessionNids,
} from '../../storage/import/store-mas-rows.ts'
import { SALT_LENGTH } from '../users/issue-tokens.ts'
import { TOKEN_ID_LENGTH } from '../users/personal-tokens.ts'
import { hashToken, importedFamilyOf } from '../users/tokens.ts'
import { millisecondsOf, userIdOf } from './import-mas-accounts.ts'
import { type ImportContext, type ImportStep, masStep } from './import-step.ts'
import { HAS_SECRET } from './mas-source.ts'

/** How long a client is kept without a session. */
const CLIENT_LIFETIME_MS = 30 * 24 * 60 * 60_000

/** The device, and when and where it was last seen. */
const SEEN = (table: string) => `${table}.human_name, ${millisecondsOf(`${table}.created_at`)} as created_ts,
  ${millisecondsOf(`${table}.last_active_at`)} as last_seen_ts, host(${table}.last_active_ip) as last_seen_ip,
  ${table}.user_agent`

type SeenRow = {
  id: string
  username: string
  human_name: string | null
  created_ts: number
  last_seen_ts: number | null
  last_seen_ip: string | null
  user_agent: string | null
}

/** The tokens of a session. A refresh token that was used is left out: its client has the next one. */
type Tokens = {
  access: { id: string; session: string; token: string; expires_ts: number | null }[]
  refresh: { session: string; access: string | null; token: string }[]
}

/** A session with its tokens; device_id null: without a device. */
type Session = SeenRow & {
  user_id: UserId
  device_id: DeviceId | null
  tokens: Tokens
  oauth: ImportedOAuthSession | null
}

type CompatRow = SeenRow & { device_id: DeviceId | null }

const compatSessions = masStep<CompatRow, CompatRow & { tokens: Tokens }>({
  name: 'sessions of clients with Matrix sign-in (MAS)',
  columns: `compat_session_id as id, username, device_id, ${SEEN('compat_sessions')}`,
  from: 'compat_sessions join users using (user_id)',
  where: 'finished_at is null and deactivated_at is null',
  key: ['compat_session_id'],
  size: 200,
  prepare: (rows, context) => withTokens(rows, context, 'compat'),
  async store(tx, rows, context) {
    const sessions = rows.flatMap((row): Session[] => {
      const user_id = userIdOf(context, row.username)
      return user_id === undefined ? [] : [{ ...row, user_id, oauth: null }]
    })
    await storeSessions(tx, sessions, context)
    return sessions.length
  },
})

type ClientRow = {
  id: string
  client_name: string | null
  client_uri: string | null
  logo_uri: string | null
  tos_uri: string | null
  policy_uri: string | null
  redirect_uris: string[]
  application_type: string | null
  grant_types: (string | null)[]
  created_ts: number
}

const clients = masStep<ClientRow>({
  name: 'OAuth clients (MAS)',
  columns: `oauth2_client_id as id, client_name, client_uri, logo_uri, tos_uri, policy_uri, redirect_uris,
    application_type, coalesce(${millisecondsOf('created_at')}, 0) as created_ts,
    array[case when grant_type_authorization_code then 'authorization_code' end,
      case when grant_type_refresh_token then 'refresh_token' end,
      case when grant_type_device_code then 'urn:ietf:params:oauth:grant-type:device_code' end] as grant_types`,
  from: 'oauth2_clients',
  where: `not (${HAS_SECRET})`,
  key: ['oauth2_client_id'],
  store: (tx, rows, context) =>
    insertRows(
      tx,
      'oauth_clients',
      rows.map((row) => ({
        client_id: ulidOfUuid(row.id),
        metadata: JSON.stringify(metadataOf(row, context)),
        created_ts: row.created_ts,
        expires_ts: context.now + CLIENT_LIFETIME_MS,
      })),
    ),
})

/** Hearth requires a client_uri, which MAS does not. */
function metadataOf(row: ClientRow, { serverName }: ImportContext) {
  const { client_name, logo_uri, tos_uri, policy_uri, redirect_uris, application_type } = row
  const web = redirect_uris.find((uri) => uri.startsWith('https:') && URL.canParse(uri))
  const optional = Object.entries({ client_name, logo_uri, tos_uri, policy_uri }).filter(([, value]) => value !== null)
  return {
    client_uri: row.client_uri ?? (web === undefined ? `https://${serverName}` : new URL(web).origin),
    ...Object.fromEntries(optional),
    redirect_uris,
    response_types: ['code'],
    grant_types: row.grant_types.filter((type) => type !== null),
    token_endpoint_auth_method: 'none',
    application_type: application_type === 'native' ? 'native' : 'web',
  }
}

type OAuthRow = SeenRow & { client: string; scope_list: string[]; can_request_admin: boolean }

const oauthSessions = masStep<OAuthRow, OAuthRow & { tokens: Tokens }>({
  name: 'sessions of OAuth clients (MAS)',
  columns: `oauth2_session_id as id, username, can_request_admin, oauth2_client_id as client, scope_list,
    ${SEEN('oauth2_sessions')}`,
  from: `oauth2_sessions join users using (user_id) join oauth2_clients using (oauth2_client_id)`,
  where: `finished_at is null and deactivated_at is null and not (${HAS_SECRET})`,
  key: ['oauth2_session_id'],
  size: 200,
  prepare: (rows, context) => withTokens(rows, context, 'oauth2'),
  async store(tx, rows, context) {
    const nids = await takeSessionNids(tx, rows.length)
    const sessions = rows.flatMap((row, place): Session[] => {
      const user_id = userIdOf(context, row.username)
      if (user_id === undefined) return []
      const scope = grantedScope(row)
      const device_id = rightsOf(scope).deviceId ?? null
      const client_id = ulidOfUuid(row.client)
      const { created_ts } = row
      const oauth = { session_nid: nids[place]!, client_id, user_id, device_id, scope, created_ts }
      return [{ ...row, user_id, device_id, oauth }]
    })
    await storeSessions(tx, sessions, context)
    return sessions.length
  },
})

type PersonalRow = SeenRow & {
  sha256: string
  scope_list: string[]
  can_request_admin: boolean
  expires_ts: number | null
}

/** MAS stores the hash of these tokens only, which is that of Hearth. */
const personalTokens = masStep<PersonalRow>({
  name: 'personal tokens (MAS)',
  columns: `token.personal_access_token_id as id, encode(access_token_sha256, 'hex') as sha256, username, scope_list,
    can_request_admin, human_name, ${millisecondsOf('token.created_at')} as created_ts,
    ${millisecondsOf('token.expires_at')} as expires_ts, ${millisecondsOf('last_active_at')} as last_seen_ts,
    host(last_active_ip) as last_seen_ip, null as user_agent`,
  from: `personal_access_tokens as token join personal_sessions as session using (personal_session_id)
    join users on users.user_id = actor_user_id`,
  // Expired ones are listed for a while.
  where: 'token.revoked_at is null and session.revoked_at is null and deactivated_at is null',
  key: ['token.personal_access_token_id'],
  async store(tx, rows, context) {
    const tokens = rows.flatMap((row) => {
      const user_id = userIdOf(context, row.username)
      if (user_id === undefined) return []
      const scope = grantedScope(row)
      const token_hash = Buffer.from(row.sha256, 'hex').toString('base64url')
      return [{ row, token_hash, scope, user_id, device_id: rightsOf(scope).deviceId ?? null }]
    })
    await insertRows(
      tx,
      'devices',
      tokens.flatMap(({ row, ...owner }) => deviceOf({ ...row, ...owner })),
    )
    await insertRows(
      tx,
      'access_tokens',
      tokens.map(({ row: { expires_ts, last_seen_ts }, ...token }) => ({
        ...token,
        expires_ts,
        last_used_ts: last_seen_ts ?? 0,
      })),
    )
    return insertRows(
      tx,
      'personal_tokens',
      tokens.map(({ row: { human_name, created_ts }, token_hash, user_id }) => ({
        ...{ token_id: context.random.token(TOKEN_ID_LENGTH), token_hash, user_id, name: human_name, created_ts },
      })),
    )
  },
})

/** Administrators alone may have the rights of administrators. */
function grantedScope({ scope_list, can_request_admin }: { scope_list: string[]; can_request_admin: boolean }): string {
  const granted = scope_list.join(' ')
  return can_request_admin ? granted : withoutAdmin(granted)
}

/** Reads the tokens of sessions that still count. */
async function withTokens<Row extends SeenRow>(
  rows: Row[],
  { mas, now }: ImportContext,
  kind: 'compat' | 'oauth2',
): Promise<(Row & { tokens: Tokens })[]> {
  const ids = rows.map(({ id }) => id)
  const unrevoked = kind === 'oauth2' ? 'and revoked_at is null' : ''
  const access = await mas!.database.query<Tokens['access'][number]>(
    `select ${kind}_access_token_id as id, ${kind}_session_id as session, access_token as token,
      ${millisecondsOf('expires_at')} as expires_ts from ${kind}_access_tokens
    where ${kind}_session_id = any($1::uuid[]) ${unrevoked}
      and (expires_at is null or expires_at > to_timestamp($2::bigint / 1000.0))`,
    [ids, now],
  )
  const refresh = await mas!.database.query<Tokens['refresh'][number]>(
    `select ${kind}_session_id as session, ${kind}_access_token_id as access, refresh_token as token
    from ${kind}_refresh_tokens where ${kind}_session_id = any($1::uuid[]) and consumed_at is null ${unrevoked}`,
    [ids],
  )
  const accessOf = Map.groupBy(access, ({ session }) => session)
  const refreshOf = Map.groupBy(refresh, ({ session }) => session)
  return rows.map((row) => ({
    ...row,
    tokens: { access: accessOf.get(row.id) ?? [], refresh: refreshOf.get(row.id) ?? [] },
  }))
}

/** Stores sessions with their devices and tokens. */
async function storeSessions(tx: Tx, sessions: readonly Session[], { random }: ImportContext): Promise<void> {
  await insertRows(tx, 'devices', sessions.flatMap(deviceOf))
  await insertImportedSessions(
    tx,
    sessions.flatMap(({ oauth }) => oauth ?? []),
  )
  const owned = sessions.map((session) => ({
    session,
    owner: { user_id: session.user_id, device_id: session.device_id },
  }))
  await insertRows(
    tx,
    'refresh_tokens',
    owned.flatMap(({ owner, session: { oauth, tokens } }) =>
      tokens.refresh.map(({ token }) => ({
        ...owner,
        token_hash: hashToken(token),
        oauth_session_nid: oauth?.session_nid ?? null,
        salt: random.token(SALT_LENGTH),
        family_hash: hashToken(importedFamilyOf(token)),
        generation: 0,
        is_restored: false,
      })),
    ),
  )
  await insertRows(
    tx,
    'access_tokens',
    owned.flatMap(({ owner, session: { oauth, tokens } }) =>
      tokens.access.map(({ id, token, expires_ts }) => {
        const refresh = tokens.refresh.find(({ access }) => access === id)
        const refresh_token_hash = refresh ? hashToken(refresh.token) : null
        return { ...owner, token_hash: hashToken(token), scope: oauth?.scope ?? null, expires_ts, refresh_token_hash }
      }),
    ),
  )
}

function deviceOf({
  user_id,
  device_id,
  human_name,
  created_ts,
  last_seen_ts,
  last_seen_ip,
  user_agent,
}: SeenRow & Pick<Session, 'user_id' | 'device_id'>) {
  if (device_id === null) return []
  const seen = { last_seen_ts, last_seen_ip, last_seen_user_agent: user_agent }
  return { user_id, device_id, display_name: human_name, created_ts, ...seen }
}

/** Sessions of clients that the Matrix Authentication Service has signed in. */
export const MAS_SESSION_STEPS: readonly ImportStep[] = [compatSessions, clients, oauthSessions, personalTokens]
