import { BAD_JSON, INVALID, MISSING, NOT_FOUND, type Rows, UNUSED } from './row.ts'
import type { Fields } from './shape.ts'

const LISTED: Fields = {
  ...{ name: 'string', displayname: 'string?', avatar_url: 'string?', is_guest: 'boolean', admin: 'boolean' },
  ...{ deactivated: 'boolean', shadow_banned: 'boolean', locked: 'boolean', erased: 'boolean' },
  ...{ user_type: 'string?', creation_ts: 'number', last_seen_ts: 'number?' },
}
const THREEPID: Fields = { medium: 'string', address: 'string', added_at: 'number', validated_at: 'number' }
const USER: Fields = {
  ...LISTED,
  ...{ suspended: 'boolean', appservice_id: 'string?', consent_version: 'string?', consent_ts: 'number?' },
  ...{ consent_server_notice_sent: 'string?', external_ids: 'list' },
}
/** Fields that Ketesa shows, and Synapse's lists do not have. */
const ITEM: Fields = { ...LISTED, '+suspended': 'boolean', '+appservice_id': 'string?' }
const DEVICE: Fields = {
  ...{ device_id: 'string', display_name: 'string?', last_seen_ip: 'string?', last_seen_ts: 'number?' },
  ...{ last_seen_user_agent: 'string?', user_id: 'string' },
}
const TOKEN: Fields = {
  ...{ token: 'string', uses_allowed: 'number?', pending: 'number', completed: 'number', expiry_time: 'number?' },
}
const LIST_OF_USERS = {
  query: 'limit=1',
  answer: { users: [ITEM], total: 'number', next_token: 'string' },
  refused: [{ path: 'v2/users?order_by=height', status: 400, errcode: INVALID }],
} as const
const ANY_USER = 'reads what it knows of any user'

/** Accounts. */
const accounts: Rows = {
  'GET v2/users': LIST_OF_USERS,
  'GET v3/users': LIST_OF_USERS,
  'GET v2/users/{user}': { answer: { ...USER, threepids: 'list' } },
  'PUT v2/users/{user}': {
    body: {
      displayname: 'Contract',
      threepids: [{ medium: 'email', address: '{email}' }],
      user_type: null,
      external_ids: null,
    },
    answer: { ...USER, threepids: [THREEPID] },
    unknown: null,
    refused: [
      { path: 'v2/users/{newcomer}', body: { password: 'correct horse battery' }, status: 201, errcode: '' },
      { body: { deactivated: true, locked: true }, status: 400, errcode: INVALID },
      { path: 'v2/users/{admin}', body: { admin: false }, status: 400, errcode: INVALID },
      { body: { admin: 'yes' }, status: 400, errcode: BAD_JSON },
      { body: { user_type: 'no such type' }, status: 400, errcode: BAD_JSON },
      { body: { threepids: [{ medium: 'email' }] }, status: 400, errcode: MISSING },
      { body: { external_ids: [{ auth_provider: 'x' }] }, status: 400, errcode: MISSING },
    ],
  },
  'POST v1/deactivate/{leaver}': {
    body: { erase: true },
    answer: { id_server_unbind_result: 'string' },
    refused: [
      { body: { erase: 'x' }, status: 400, errcode: BAD_JSON },
      { path: 'v1/deactivate/{remote}', status: 400, errcode: INVALID },
      { path: 'v1/deactivate/{nobody}', status: 404, errcode: NOT_FOUND },
    ],
  },
  'PUT v1/suspend/{user}': {
    body: { suspend: false },
    answer: { 'user_{user}_suspended': 'boolean' },
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { suspend: 1 }, status: 400, errcode: BAD_JSON },
    ],
  },
  'POST v1/users/{user}/shadow_ban': { answer: {} },
  'DELETE v1/users/{user}/shadow_ban': { answer: {} },
  'GET v1/users/{user}/admin': { answer: { admin: 'boolean' }, synapse: { why: ANY_USER, unknown: 200 } },
  'PUT v1/users/{user}/admin': {
    body: { admin: false },
    answer: {},
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { path: 'v1/users/{admin}/admin', body: { admin: false }, status: 400, errcode: INVALID },
    ],
  },
  'POST v1/reset_password/{user}': {
    body: { new_password: 'correct horse battery', logout_devices: false },
    answer: {},
    refused: [{ body: {}, status: 400, errcode: MISSING }],
    synapse: { why: 'looks for the account only', remote: 404 },
  },
  'POST v1/users/{user}/login': {
    body: { valid_until_ms: 4_000_000_000_000 },
    answer: { access_token: 'string' },
    refused: [
      { body: { valid_until_ms: 'x' }, status: 400, errcode: BAD_JSON },
      { path: 'v1/users/{admin}/login', status: 400, errcode: INVALID },
    ],
  },
  'GET v1/search_users/{user}': {
    query: 'term=contract',
    answer: 'list',
    refused: [{ path: 'v1/search_users/{user}', status: 400, errcode: MISSING }],
    synapse: { why: ANY_USER, unknown: 200 },
  },
  'GET v1/username_available': {
    query: 'username={free}',
    answer: { available: 'boolean' },
    refused: [
      { path: 'v1/username_available?username={localpart}', status: 400, errcode: 'M_USER_IN_USE' },
      { path: 'v1/username_available?username=a%20b', status: 400, errcode: 'M_INVALID_USERNAME' },
      { path: 'v1/username_available', status: 400, errcode: MISSING },
    ],
  },
  'POST v1/account_validity/validity': {
    body: { user_id: '{user}', expiration_ts: 4_000_000_000_000 },
    answer: { expiration_ts: 'number' },
    refused: [{ body: {}, status: 400, errcode: MISSING }],
  },
  'GET v1/register': { answer: { nonce: 'string' } },
  'POST v1/register': {
    body: {
      ...{ nonce: '{nonce}', username: '{free}', password: 'correct horse battery', mac: '{mac}' },
      ...{ admin: false, user_type: null, displayname: null, refresh_token: true },
    },
    answer: {
      ...{ user_id: 'string', home_server: 'string', access_token: 'string', device_id: 'string' },
      ...{ refresh_token: 'string', expires_in_ms: 'number' },
    },
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { nonce: 'x', username: 'a', password: 'b', mac: '00' }, status: 400, errcode: INVALID },
    ],
  },
}

/** Devices, and what else belongs to one user. */
const belongings: Rows = {
  'GET v2/users/{user}/devices': {
    query: UNUSED,
    answer: { devices: [{ ...DEVICE, 'dehydrated?': 'boolean' }], total: 'number' },
  },
  'POST v2/users/{user}/devices': {
    body: { device_id: 'CONTRACT' },
    status: 201,
    answer: {},
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { device_id: 1 }, status: 400, errcode: BAD_JSON },
    ],
  },
  'GET v2/users/{user}/devices/{device}': {
    answer: DEVICE,
    refused: [{ path: 'v2/users/{user}/devices/NONE', status: 404, errcode: NOT_FOUND }],
  },
  'PUT v2/users/{user}/devices/{device}': {
    body: { display_name: 'Contract' },
    answer: {},
    refused: [{ path: 'v2/users/{user}/devices/NONE', status: 404, errcode: NOT_FOUND }],
  },
  'DELETE v2/users/{user}/devices/CONTRACT': { answer: {} },
  'POST v2/users/{user}/delete_devices': {
    body: { devices: ['CONTRACT'] },
    answer: {},
    refused: [{ body: {}, status: 400, errcode: MISSING }],
  },
  'GET v1/whois/{user}': {
    answer: { user_id: 'string', devices: { '': { sessions: [{ connections: 'list' }] } } },
    synapse: { why: ANY_USER, unknown: 200 },
  },
  'GET v1/users/{user}/joined_rooms': {
    query: UNUSED,
    answer: { joined_rooms: ['string'], total: 'number' },
    remote: 200,
    unknown: 200,
  },
  'GET v1/users/{user}/memberships': {
    answer: { memberships: 'object' },
    synapse: { why: ANY_USER, remote: 200, unknown: 200 },
  },
  'GET v1/users/{user}/pushers': {
    query: UNUSED,
    answer: {
      pushers: [
        {
          ...{ app_display_name: 'string', app_id: 'string', data: 'object', device_display_name: 'string' },
          ...{ kind: 'string', lang: 'string', profile_tag: 'string', pushkey: 'string' },
          ...{ '-enabled': 'boolean', '-device_id': 'string?' },
        },
      ],
      total: 'number',
    },
  },
  'GET v1/users/{user}/accountdata': { answer: { account_data: { global: 'object', rooms: 'object' } } },
  'GET v1/users/{user}/sent_invite_count': {
    query: 'from_ts=0',
    answer: { invite_count: 'number' },
    synapse: { why: ANY_USER, remote: 200, unknown: 200 },
  },
  'GET v1/users/{user}/cumulative_joined_room_count': {
    query: 'from_ts=0',
    answer: { cumulative_joined_room_count: 'number' },
    synapse: { why: ANY_USER, remote: 200, unknown: 200 },
  },
  'GET v1/users/{friend}/override_ratelimit': { answer: {} },
  'POST v1/users/{user}/override_ratelimit': {
    body: { messages_per_second: 0, burst_count: 0 },
    answer: { messages_per_second: 'number', burst_count: 'number' },
    refused: [{ body: { messages_per_second: -1 }, status: 400, errcode: BAD_JSON }],
  },
  'DELETE v1/users/{user}/override_ratelimit': { answer: {} },
  'POST v1/users/{user}/_allow_cross_signing_replacement_without_uia': {
    answer: { updatable_without_uia_before_ms: 'number' },
    refused: [
      {
        path: 'v1/users/{admin}/_allow_cross_signing_replacement_without_uia',
        status: 404,
        errcode: NOT_FOUND,
      },
    ],
    synapse: { why: 'looks for keys only', remote: 404 },
  },
  'GET v1/experimental_features/{user}': { answer: { features: 'object' }, synapse: { why: ANY_USER, unknown: 200 } },
  'PUT v1/experimental_features/{user}': {
    body: { features: { msc4222: true } },
    answer: {},
    refused: [{ body: { features: { none: true } }, status: 400, errcode: INVALID }],
    synapse: { why: 'stores it for any user', unknown: 500 },
  },
  'GET v1/auth_providers/{name}/users/{name}': { status: 404 },
  'GET v1/threepid/email/users/{email}': {
    answer: { user_id: 'string' },
    refused: [{ path: 'v1/threepid/email/users/none@example.org', status: 404, errcode: NOT_FOUND }],
  },
  'POST v1/user/{user}/redact': {
    body: { rooms: [], reason: 'r', limit: 1, use_admin: false, before_ts: 1, after_ts: 0 },
    answer: { redact_id: 'string' },
    remote: 200,
    refused: [
      { body: {}, status: 400, errcode: MISSING },
      { body: { rooms: [], limit: 'x' }, status: 400, errcode: BAD_JSON },
    ],
    synapse: { why: ANY_USER, unknown: 200 },
  },
  'GET v1/user/redact_status/{redact}': {
    answer: { status: 'string', failed_redactions: 'object' },
    refused: [{ path: 'v1/user/redact_status/none', status: 404, errcode: NOT_FOUND }],
  },
}

const NEW_TOKEN = 'v1/registration_tokens/new'

/** Registration tokens. */
const tokens: Rows = {
  'GET v1/registration_tokens': { query: UNUSED, answer: { registration_tokens: [TOKEN] } },
  'POST v1/registration_tokens/new': {
    body: { uses_allowed: 1, expiry_time: null },
    answer: TOKEN,
    refused: [
      { path: NEW_TOKEN, body: { token: 'a b' }, status: 400, errcode: INVALID },
      { path: NEW_TOKEN, body: { token: '{token}' }, status: 400, errcode: INVALID },
      { path: NEW_TOKEN, body: { expiry_time: 1 }, status: 400, errcode: INVALID },
      { path: NEW_TOKEN, body: { length: 65 }, status: 400, errcode: BAD_JSON },
    ],
  },
  'GET v1/registration_tokens/{token}': {
    answer: TOKEN,
    refused: [{ path: 'v1/registration_tokens/none', status: 404, errcode: NOT_FOUND }],
  },
  'PUT v1/registration_tokens/{token}': {
    body: { uses_allowed: null, expiry_time: null },
    answer: TOKEN,
    refused: [
      { path: 'v1/registration_tokens/none', status: 404, errcode: NOT_FOUND },
      { body: { expiry_time: 1 }, status: 400, errcode: INVALID },
      { body: { uses_allowed: -1 }, status: 400, errcode: BAD_JSON },
    ],
  },
  'DELETE v1/registration_tokens/{spareToken}': {
    answer: {},
    refused: [{ path: 'v1/registration_tokens/none', status: 404, errcode: NOT_FOUND }],
  },
}

export const USER_ROWS: Rows = { ...accounts, ...belongings, ...tokens }
