import { createHash } from 'node:crypto'
import type { PGlite } from '@electric-sql/pglite'
import { hash } from '@node-rs/argon2'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { ulidOfUuid } from '../../core/ulid.ts'
import { systemRandom } from '../../infra/random.ts'
import type { MasConfig } from '../../infra/synapse/mas-config.ts'
import { createPasswordHasher } from '../../infra/users/password-hasher.ts'
import { findServerSecret, PASSWORD_PEPPER } from '../../storage/engine/server-secrets.ts'
import { findUser } from '../../storage/users/users.ts'
import { createTestApp } from '../../testing/create-test-app.ts'
import { createTestPglite } from '../../testing/test-database.ts'
import { refreshOAuthTokens } from '../oauth/refresh-oauth-tokens.ts'
import { refreshTokens } from '../users/refresh.ts'
import { findSession } from '../users/sessions.ts'
import { MAS_ACCOUNT_STEPS } from './import-mas-accounts.ts'
import { MAS_SESSION_STEPS } from './import-mas-sessions.ts'
import type { ImportContext } from './import-step.ts'
import { checkMas, type MasSource } from './mas-source.ts'

/** The columns of MAS's tables that the import reads. */
const SCHEMA = `
  create table _sqlx_migrations (version bigint);
  create table users (user_id uuid, username text, created_at timestamptz, locked_at timestamptz,
    deactivated_at timestamptz, can_request_admin boolean default false, is_guest boolean default false);
  create table user_passwords (user_id uuid, hashed_password text, created_at timestamptz, version integer);
  create table user_emails (user_email_id uuid, user_id uuid, email text, created_at timestamptz);
  create table user_unsupported_third_party_ids (user_id uuid, medium text, address text, created_at timestamptz);
  create table upstream_oauth_providers (upstream_oauth_provider_id uuid, issuer text, client_id text);
  create table upstream_oauth_links (upstream_oauth_link_id uuid, upstream_oauth_provider_id uuid, user_id uuid,
    subject text, created_at timestamptz, human_account_name text);
  create table user_registration_tokens (user_registration_token_id uuid, token text, usage_limit integer,
    times_used integer, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz,
    revoked_at timestamptz);
  create table compat_sessions (compat_session_id uuid, user_id uuid, device_id text, human_name text,
    created_at timestamptz, finished_at timestamptz, last_active_at timestamptz, last_active_ip inet, user_agent text);
  create table compat_access_tokens (compat_access_token_id uuid, compat_session_id uuid, access_token text,
    created_at timestamptz, expires_at timestamptz);
  create table compat_refresh_tokens (compat_session_id uuid, compat_access_token_id uuid, refresh_token text,
    consumed_at timestamptz);
  create table oauth2_clients (oauth2_client_id uuid, client_name text, client_uri text, logo_uri text, tos_uri text,
    policy_uri text, redirect_uris text[], application_type text, created_at timestamptz,
    grant_type_authorization_code boolean, grant_type_refresh_token boolean, grant_type_device_code boolean,
    token_endpoint_auth_method text);
  create table oauth2_sessions (oauth2_session_id uuid, user_id uuid, oauth2_client_id uuid, scope_list text[],
    human_name text, created_at timestamptz, finished_at timestamptz, last_active_at timestamptz, last_active_ip inet,
    user_agent text);
  create table oauth2_access_tokens (oauth2_access_token_id uuid, oauth2_session_id uuid, access_token text,
    created_at timestamptz, expires_at timestamptz, revoked_at timestamptz);
  create table oauth2_refresh_tokens (oauth2_session_id uuid, oauth2_access_token_id uuid, refresh_token text,
    consumed_at timestamptz, revoked_at timestamptz);
  create table personal_sessions (personal_session_id uuid, actor_user_id uuid, human_name text, scope_list text[],
    revoked_at timestamptz, last_active_at timestamptz, last_active_ip inet);
  create table personal_access_tokens (personal_access_token_id uuid, personal_session_id uuid,
    access_token_sha256 bytea, created_at timestamptz, expires_at timestamptz, revoked_at timestamptz);`

const NOW = Date.UTC(2026, 0, 2)
const BEFORE = '2026-01-01T00:00:00Z'
const AFTER = '2026-01-03T00:00:00Z'
const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const [ALICE, BOB, CAROL, GONE] = [uuid(1), uuid(2), uuid(3), uuid(4)]
const WEB = uuid(20)
const API = 'urn:matrix:org.matrix.msc2967.client:api:*'
const DEVICE = 'urn:matrix:org.matrix.msc2967.client:device:'

let app: Awaited<ReturnType<typeof createTestApp>>
let source: PGlite
let mas: MasSource
let stored: Record<string, number>

beforeAll(async () => {
  source = await createTestPglite()
  await source.exec(`create schema mas; set search_path to mas; ${SCHEMA}`)
  await fillAccounts()
  await fillSessions()
  await fillPersonalTokens()
  const config: MasConfig = {
    database: { engine: 'postgresql', connection: {} },
    schemes: [
      { version: 1, algorithm: 'bcrypt', secret: Buffer.from('pepper') },
      { version: 2, algorithm: 'argon2id', secret: Buffer.alloc(0) },
      { version: 3, algorithm: 'pbkdf2', secret: Buffer.alloc(0) },
    ],
    synapseProviders: new Map([[ulidOfUuid(uuid(30)), 'oidc-corporate']]),
  }
  const query = async (text: string, values: readonly unknown[] = []) => (await source.query(text, [...values])).rows
  const database = { engine: 'postgresql', query, close: async () => {} } as unknown as MasSource['database']
  mas = {
    config,
    database,
    providers: [{ kind: 'oidc', id: 'other', issuer: 'https://id.test', client_id: 'c' }] as never,
  }
  app = await createTestApp({ clock: { now: () => NOW } as never })
  // Synapse has this account already.
  await sql`insert into users (user_id, password_hash, is_admin, created_ts)
    values ('@alice:hearth.test', null, true, 1)`.execute(app.database.sql)
  stored = await importAll()
})
afterAll(async () => {
  await app?.close()
  await source?.close()
})

async function add(table: string, row: Record<string, unknown>): Promise<void> {
  const names = Object.keys(row)
  const marks = names.map((_, place) => `$${place + 1}`).join(', ')
  await source.query(`insert into ${table} (${names.join(', ')}) values (${marks})`, Object.values(row))
}

async function fillAccounts(): Promise<void> {
  await add('_sqlx_migrations', { version: 20260720134722 })
  const user = { created_at: BEFORE }
  await add('users', { ...user, user_id: ALICE, username: 'alice' })
  await add('users', { ...user, user_id: BOB, username: 'bob', can_request_admin: true })
  await add('users', { ...user, user_id: CAROL, username: 'carol', locked_at: BEFORE })
  await add('users', { ...user, user_id: GONE, username: 'gone', deactivated_at: BEFORE })
  // By Python's bcrypt, of 'correct café' in NFKC, followed by 'pepper'.
  const bcrypt = '$2b$04$Z1yzaBcHeJDjg7Fsd1eWeeKv2sPoEuivjds7GXekr4u/XfD0uA0yq'
  const argon2 = await hash('bobs own', { memoryCost: 64, timeCost: 1 })
  for (const [user_id, version, hashed_password, created_at] of [
    [ALICE, 2, argon2, '2025-01-01T00:00:00Z'],
    [ALICE, 1, bcrypt, BEFORE],
    [BOB, 2, argon2, BEFORE],
    [CAROL, 3, '$pbkdf2-sha256$i=1$c2FsdA$aGFzaA', BEFORE],
    [GONE, 2, argon2, BEFORE],
  ])
    await add('user_passwords', { user_id, version, hashed_password, created_at })
  for (const [id, user_id, email] of [
    [1, ALICE, 'Alice@Example.ORG'],
    [2, GONE, 'gone@example.org'],
  ] as const)
    await add('user_emails', { user_email_id: uuid(id), user_id, email, created_at: BEFORE })
  const phone = { user_id: ALICE, medium: 'msisdn', address: '4915112345678', created_at: BEFORE }
  await add('user_unsupported_third_party_ids', phone)
  for (const [id, issuer, client_id] of [
    [30, null, 'x'],
    [31, 'https://id.test/', 'c'],
    [32, 'https://unknown.test', 'c'],
  ] as const) {
    const provider = { upstream_oauth_provider_id: uuid(id) }
    await add('upstream_oauth_providers', { ...provider, issuer, client_id })
    const link = { user_id: BOB, subject: `s${id}`, created_at: BEFORE, human_account_name: 'Bob' }
    await add('upstream_oauth_links', { ...provider, ...link, upstream_oauth_link_id: uuid(id) })
  }
  const token = { user_registration_token_id: uuid(1), token: 'welcome', usage_limit: 5, times_used: 2 }
  await add('user_registration_tokens', { ...token, created_at: BEFORE, revoked_at: BEFORE })
}

async function fillSessions(): Promise<void> {
  const compat = { created_at: BEFORE, human_name: 'Phone', last_active_ip: '192.0.2.1', last_active_at: BEFORE }
  for (const [id, user_id, device_id, finished_at] of [
    [10, ALICE, 'ALICESPHONE', null],
    [11, ALICE, 'ENDED', BEFORE],
    [12, GONE, 'GONESPHONE', null],
    [13, ALICE, null, null],
  ] as const) {
    await add('compat_sessions', { ...compat, compat_session_id: uuid(id), user_id, device_id, finished_at })
    const access = { compat_access_token_id: uuid(id), compat_session_id: uuid(id), created_at: BEFORE }
    await add('compat_access_tokens', { ...access, access_token: `mct_access${id}`, expires_at: null })
  }
  const refresh = { compat_session_id: uuid(10), compat_access_token_id: uuid(10) }
  await add('compat_refresh_tokens', { ...refresh, refresh_token: 'mcr_old', consumed_at: BEFORE })
  await add('compat_refresh_tokens', { ...refresh, refresh_token: 'mcr_new', consumed_at: null })
  const client = { redirect_uris: ['https://app.test/', 'app.test:/'], created_at: BEFORE, application_type: 'web' }
  const grants = { grant_type_authorization_code: true, grant_type_refresh_token: true, grant_type_device_code: false }
  for (const [id, token_endpoint_auth_method] of [
    [20, 'none'],
    [21, 'client_secret_basic'],
  ] as const)
    await add('oauth2_clients', { ...client, ...grants, oauth2_client_id: uuid(id), token_endpoint_auth_method })
  for (const [id, user_id, oauth2_client_id, scope_list] of [
    [40, ALICE, WEB, [API, `${DEVICE}ALICESLAPTOP`, 'urn:synapse:admin:*']],
    [41, BOB, WEB, [API, `${DEVICE}BOBSLAPTOP`, 'urn:synapse:admin:*']],
    [42, BOB, uuid(21), [API]],
  ] as const) {
    const session = { oauth2_session_id: uuid(id), oauth2_client_id, user_id, scope_list: [...scope_list] }
    await add('oauth2_sessions', { ...session, created_at: BEFORE })
    const access = { oauth2_access_token_id: uuid(id), oauth2_session_id: uuid(id), created_at: BEFORE }
    await add('oauth2_access_tokens', { ...access, access_token: `mat_${id}`, expires_at: AFTER })
    const old = { ...access, oauth2_access_token_id: uuid(id + 100), expires_at: BEFORE }
    await add('oauth2_access_tokens', { ...old, access_token: `mat_expired${id}` })
    const pair = { oauth2_session_id: uuid(id), oauth2_access_token_id: uuid(id) }
    await add('oauth2_refresh_tokens', { ...pair, refresh_token: `mar_${id}` })
  }
}

async function fillPersonalTokens(): Promise<void> {
  for (const [id, expires_at, revoked_at] of [
    [50, null, null],
    [51, BEFORE, null],
    [52, null, BEFORE],
  ] as const) {
    const session = { personal_session_id: uuid(id) }
    const scope_list = [API, `${DEVICE}BOT`]
    await add('personal_sessions', { ...session, actor_user_id: BOB, human_name: 'Bot', scope_list })
    const access_token_sha256 = createHash('sha256').update(`mpt_${id}`).digest()
    const token = { ...session, personal_access_token_id: uuid(id), access_token_sha256 }
    await add('personal_access_tokens', { ...token, created_at: BEFORE, expires_at, revoked_at })
  }
}

async function importAll(): Promise<Record<string, number>> {
  const context = { mas, serverName: 'hearth.test', now: NOW, random: systemRandom } as unknown as ImportContext
  const counts: Record<string, number> = {}
  for (const step of [...MAS_ACCOUNT_STEPS, ...MAS_SESSION_STEPS]) {
    counts[step.name] = 0
    let read = 0
    for (let bookmark: unknown = null; ; ) {
      const batch = await step.next(context, bookmark)
      if (!batch) break
      counts[step.name]! += await app.database.write((tx) => batch.write(tx))
      read += batch.read
      bookmark = batch.bookmark
    }
    expect(read).toBe((await step.count?.(context)) ?? read)
  }
  return counts
}

const sessionOf = (accessToken: string) => findSession(app as never, { accessToken, ip: '192.0.2.1' } as never)

test('accounts have the password, the rights and the state that they have in MAS', async () => {
  expect(stored['accounts (MAS)']).toBe(4)
  const pepper = await findServerSecret(app.database, PASSWORD_PEPPER)
  const hasher = createPasswordHasher(app.config.passwords, { pepper })
  const [alice, bob, carol, gone] = await Promise.all(
    ['alice', 'bob', 'carol', 'gone'].map((name) => findUser(app.database, `@${name}:hearth.test` as UserId)),
  )
  expect(await hasher.verify(alice!.password_hash, 'correct cafe\u0301')).toBe(true)
  expect(await hasher.verify(bob!.password_hash, 'bobs own')).toBe(true)
  expect([alice!.is_admin, bob!.is_admin]).toEqual([false, true])
  expect(alice!.created_ts).toBe(1)
  expect(carol).toMatchObject({ locked: true, locked_ts: Date.parse(BEFORE), password_hash: null })
  expect(gone).toMatchObject({ deactivated_ts: Date.parse(BEFORE), password_hash: null })
})

test('addresses, links to identity providers and registration tokens are those of MAS', async () => {
  const addresses = await sql`select user_id, medium, address from threepids order by medium`.execute(app.database.sql)
  expect(addresses.rows).toEqual([
    { user_id: '@alice:hearth.test', medium: 'email', address: 'alice@example.org' },
    { user_id: '@alice:hearth.test', medium: 'msisdn', address: '4915112345678' },
  ])
  const links = await sql`select provider_id, subject, label from upstream_links order by subject`.execute(
    app.database.sql,
  )
  expect(links.rows).toEqual([
    { provider_id: 'oidc-corporate', subject: 's30', label: 'Bob' },
    { provider_id: 'other', subject: 's31', label: 'Bob' },
    { provider_id: ulidOfUuid(uuid(32)), subject: 's32', label: 'Bob' },
  ])
  const tokens = await sql`select token, uses_allowed, uses_completed, revoked_ts from registration_tokens`.execute(
    app.database.sql,
  )
  expect(tokens.rows).toEqual([
    { token: 'welcome', uses_allowed: 5, uses_completed: 2, revoked_ts: Date.parse(BEFORE) },
  ])
})

test('clients with Matrix sign-in stay signed in, and refresh', async () => {
  expect(await sessionOf('mct_access10')).toMatchObject({ userId: '@alice:hearth.test', deviceId: 'ALICESPHONE' })
  expect(await sessionOf('mct_access13')).toMatchObject({ userId: '@alice:hearth.test', deviceId: null })
  for (const token of ['mct_access11', 'mct_access12'])
    await expect(sessionOf(token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  await expect(refreshTokens(app as never, { refreshToken: 'mcr_old', clientId: null })).rejects.toThrow()
  const { access_token } = await refreshTokens(app as never, { refreshToken: 'mcr_new', clientId: null })
  expect(await sessionOf(access_token)).toMatchObject({ deviceId: 'ALICESPHONE' })
})

test('OAuth clients stay signed in with the scope that their user may have, and refresh', async () => {
  expect(await sessionOf('mat_40')).toMatchObject({ deviceId: 'ALICESLAPTOP', isAdmin: false })
  expect(await sessionOf('mat_41')).toMatchObject({ deviceId: 'BOBSLAPTOP', isAdmin: true })
  for (const token of ['mat_42', 'mat_expired40'])
    await expect(sessionOf(token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  const clientId = ulidOfUuid(WEB)
  const wrong = refreshOAuthTokens(app as never, { refreshToken: 'mar_40', clientId: ulidOfUuid(uuid(21)) })
  await expect(wrong).rejects.toThrow()
  const { access_token, scope } = await refreshOAuthTokens(app as never, { refreshToken: 'mar_40', clientId })
  expect(scope).toBe(`${API} ${DEVICE}ALICESLAPTOP`)
  expect(await sessionOf(access_token)).toMatchObject({ deviceId: 'ALICESLAPTOP' })
})

test('personal tokens stay valid, and are listed by their names', async () => {
  expect(await sessionOf('mpt_50')).toMatchObject({ userId: '@bob:hearth.test', deviceId: 'BOT' })
  for (const token of ['mpt_51', 'mpt_52'])
    await expect(sessionOf(token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  const { rows } = await sql`select user_id, name from personal_tokens`.execute(app.database.sql)
  // The expired one too.
  expect(rows).toEqual([1, 2].map(() => ({ user_id: '@bob:hearth.test', name: 'Bot' })))
})

test('the check says what is lost, and refuses another or an old database', async () => {
  const texts = (await checkMas(mas)).map(({ text }) => text).join('\n')
  expect(texts).toMatch(/1 users have a password of version 3/)
  expect(texts).toMatch(/through x\. Add it .* id oidc-corporate/)
  expect(texts).toMatch(/unknown\.test\. Add it/)
  expect(texts).toMatch(/1 OAuth clients authenticate with a secret/)
  await source.query('update _sqlx_migrations set version = 20240101000000')
  expect(await checkMas(mas)).toMatchObject([{ severity: 'error', text: expect.stringContaining('too old') }])
  await source.query('delete from _sqlx_migrations')
  expect(await checkMas(mas)).toMatchObject([{ severity: 'error', text: expect.stringContaining('no migrations') }])
})
