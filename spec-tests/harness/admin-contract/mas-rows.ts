import type { Rows } from './row.ts'
import type { Fields, Shape } from './shape.ts'

const SESSION: Fields = {
  ...{ user_id: 'string', created_at: 'string', finished_at: 'string?', user_agent: 'string?' },
  ...{ last_active_at: 'string?', last_active_ip: 'string?' },
}
const EMAIL: Fields = { created_at: 'string', user_id: 'string', email: 'string' }
const USER: Fields = {
  ...{ username: 'string', created_at: 'string', locked_at: 'string?', deactivated_at: 'string?' },
  ...{ admin: 'boolean', legacy_guest: 'boolean' },
}
const TOKEN: Fields = {
  ...{ token: 'string', valid: 'boolean', usage_limit: 'number?', times_used: 'number', created_at: 'string' },
  ...{ last_used_at: 'string?', expires_at: 'string?', revoked_at: 'string?' },
}
const PERSONAL: Fields = {
  ...{ created_at: 'string', revoked_at: 'string?', owner_user_id: 'string?', owner_client_id: 'string?' },
  ...{ actor_user_id: 'string', human_name: 'string', scope: 'string', last_active_at: 'string?' },
  ...{ last_active_ip: 'string?', expires_at: 'string?', 'access_token?': 'string' },
}
const COMPAT: Fields = {
  ...SESSION,
  ...{ device_id: 'string', user_session_id: 'string?', redirect_uri: 'string?', human_name: 'string?' },
}
const OAUTH: Fields = {
  ...SESSION,
  ...{ user_session_id: 'string?', client_id: 'string', scope: 'string', human_name: 'string?' },
}
const CLIENT: Fields = {
  ...{ client_id: 'string', client_name: 'string?', client_uri: 'string?', logo_uri: 'string?' },
  ...{ redirect_uris: 'list', grant_types: 'list', is_static: 'boolean' },
}

const one = (attributes: Shape): Shape => ({
  data: { type: 'string', id: 'string', attributes, links: { self: 'string' } },
  links: { self: 'string' },
})
const item = (attributes: Shape): Shape => ({
  ...{ type: 'string', id: 'string', attributes, links: { self: 'string' } },
  meta: { page: { cursor: 'string' } },
})
const page = (data: Shape): Shape => ({
  ...{ meta: { count: 'number' }, data },
  links: { self: 'string', first: 'string', last: 'string', 'next?': 'string', 'prev?': 'string' },
})
const unknown = (path: string) => [
  { path: path.replace(/\{[^}]+\}/, '{noUlid}'), status: 404, errcode: '' },
  { path: path.replace(/\{[^}]+\}/, 'x'), status: 400, errcode: '' },
]
/** The list of a kind of objects, and one of them. */
const kind = (path: string, id: string, attributes: Shape): Rows => ({
  [`GET mas/${path}`]: {
    query: 'page[first]=1',
    answer: page([item(attributes)]),
    refused: [{ path: `mas/${path}?page[first]=0`, status: 400, errcode: '' }],
  },
  [`GET mas/${path}/{${id}}`]: { answer: one(attributes), refused: unknown(`mas/${path}/{id}`) },
})
/** An act upon one object. */
const act = (path: string, attributes: Shape, body?: unknown): Rows => ({
  [`POST mas/${path}`]: {
    ...(body !== undefined && { body }),
    answer: one(attributes),
    refused: unknown(`mas/${path}`),
  },
})
/** There is none without a configured provider: spec-tests/whole/upstream-cas.test.ts has some. */
const absent = (path: string): Rows => ({ [path]: { status: 404 } })

/** The admin API of the Matrix Authentication Service. */
export const MAS_ROWS: Rows = {
  'GET mas/site-config': {
    answer: {
      ...{ server_name: 'string', minimum_password_complexity: 'number', password_login_enabled: 'boolean' },
      ...{ password_registration_enabled: 'boolean', password_registration_email_required: 'boolean' },
      ...{ password_registration_token_required: 'boolean', registration_token_required: 'boolean' },
      ...{ email_change_allowed: 'boolean', displayname_change_allowed: 'boolean', captcha_enabled: 'boolean' },
      ...{ password_change_allowed: 'boolean', account_recovery_allowed: 'boolean' },
      account_deactivation_allowed: 'boolean',
    },
  },
  'GET mas/version': { answer: { version: 'string' } },
  ...kind('users', 'ulid', USER),
  'GET mas/users/by-username/{localpart}': {
    answer: one(USER),
    refused: [{ path: 'mas/users/by-username/nobody-at-all', status: 404, errcode: '' }],
  },
  'POST mas/users': {
    body: { username: '{name}' },
    status: 201,
    answer: one(USER),
    refused: [
      { body: {}, status: 400, errcode: '' },
      { body: { username: 'a b' }, status: 400, errcode: '' },
      { body: { username: '{localpart}' }, status: 409, errcode: '' },
    ],
  },
  'POST mas/users/{ulid}/set-password': {
    body: { password: 'correct horse battery' },
    status: 204,
    refused: [...unknown('mas/users/{ulid}/set-password'), { body: { password: 'x' }, status: 400, errcode: '' }],
  },
  ...act('users/{ulid}/set-admin', USER, { admin: false }),
  ...act('users/{ulid}/lock', USER),
  ...act('users/{ulid}/unlock', USER),
  ...act('users/{spareUlid}/deactivate', USER, { skip_erase: true }),
  ...act('users/{spareUlid}/reactivate', USER),
  'POST mas/user-emails': {
    body: { user_id: '{ulid}', email: 'mas-{email}' },
    status: 201,
    answer: one(EMAIL),
    refused: [
      { body: { user_id: '{ulid}', email: 'x' }, status: 400, errcode: '' },
      { body: { user_id: '{noUlid}', email: 'x-{email}' }, status: 404, errcode: '' },
    ],
  },
  ...kind('user-emails', 'emailUlid', EMAIL),
  'DELETE mas/user-emails/{emailUlid}': { status: 204, refused: unknown('mas/user-emails/{ulid}') },
  'POST mas/user-registration-tokens': {
    body: { usage_limit: 1, expires_at: '2999-01-01T00:00:00Z' },
    status: 201,
    answer: one(TOKEN),
    refused: [{ body: { token: 'a b' }, status: 400, errcode: '' }],
  },
  ...kind('user-registration-tokens', 'tokenUlid', TOKEN),
  'PUT mas/user-registration-tokens/{tokenUlid}': {
    body: { usage_limit: null },
    answer: one(TOKEN),
    refused: [
      ...unknown('mas/user-registration-tokens/{ulid}'),
      { body: { usage_limit: -1 }, status: 400, errcode: '' },
    ],
  },
  ...act('user-registration-tokens/{tokenUlid}/revoke', TOKEN),
  ...act('user-registration-tokens/{tokenUlid}/unrevoke', TOKEN),
  ...kind('compat-sessions', 'compatUlid', COMPAT),
  ...act('compat-sessions/{compatUlid}/finish', COMPAT),
  ...kind('oauth2-sessions', 'oauthUlid', OAUTH),
  ...act('oauth2-sessions/{oauthUlid}/finish', OAUTH),
  ...kind('user-sessions', 'browserUlid', SESSION),
  ...act('user-sessions/{browserUlid}/finish', SESSION),
  'POST mas/personal-sessions': {
    body: { actor_user_id: '{ulid}', human_name: 'Contract', scope: 'urn:matrix:client:api:*', expires_in: 60 },
    status: 201,
    answer: one(PERSONAL),
    refused: [
      {
        body: { actor_user_id: '{noUlid}', human_name: 'x', scope: 'urn:matrix:client:api:*' },
        status: 404,
        errcode: '',
      },
      { body: { actor_user_id: '{ulid}', human_name: 'x', scope: 'urn:unknown' }, status: 400, errcode: '' },
    ],
  },
  ...kind('personal-sessions', 'personalUlid', PERSONAL),
  'POST mas/personal-sessions/{personalUlid}/regenerate': {
    status: 201,
    answer: one(PERSONAL),
    refused: unknown('mas/personal-sessions/{ulid}/regenerate'),
  },
  ...act('personal-sessions/{personalUlid}/revoke', PERSONAL),
  ...kind('oauth2-clients', 'clientUlid', CLIENT),
  'GET mas/upstream-oauth-providers': { answer: page('list') },
  'GET mas/upstream-oauth-links': { answer: page('list') },
  ...absent('GET mas/upstream-oauth-providers/{noUlid}'),
  ...absent('GET mas/upstream-oauth-links/{noUlid}'),
  ...absent('DELETE mas/upstream-oauth-links/{noUlid}'),
  'POST mas/upstream-oauth-links': {
    body: { user_id: '{ulid}', provider_id: '{noUlid}', subject: 'x' },
    status: 404,
    refused: [{ body: {}, status: 400, errcode: '' }],
  },
}
