import { ADMIN_OPERATIONS } from './admin-operations.ts'
import type { BodyProperty, Operation } from './operations.ts'

const MEMBER_EVENT: Operation['body'] = {
  sender: required('string'),
  origin: required('string'),
  origin_server_ts: required('integer'),
  type: required('string'),
  state_key: required('string'),
  content: required('object'),
}

const BOUND_ADDRESS: Operation['body'] = {
  medium: required('string'),
  address: required('string'),
  mxid: required('string'),
  invites: required('array'),
}

/** Operations of servers in their first versions, and in unspecified forms that are still in use. */
export const OLD_SERVER_OPERATIONS: readonly Operation[] = [
  ...['send_join', 'send_leave'].map((name) => ({
    ...of('PUT', '', { auth: 'server', body: MEMBER_EVENT }),
    path: `/_matrix/federation/v1/${name}/{roomId}/{eventId}`,
  })),
  { ...of('POST', '', { auth: 'none', body: BOUND_ADDRESS }), path: '/_matrix/federation/v1/3pid/onbind' },
]

/**
 * Operations of proposals and of Hearth itself that the OpenAPI files lack, for tests that try all operations. Web
 * pages and non-JSON bodies are not included.
 */
export const UNSTABLE_OPERATIONS: readonly Operation[] = [
  of('DELETE', 'org.matrix.msc3391/user/{userId}/account_data/{type}'),
  of('GET', 'hearth/arrival', { auth: 'none' }),
  of('GET', 'hearth/tokens'),
  of('POST', 'hearth/tokens', {
    body: {
      name: required('string'),
      scope: optional('string'),
      lifetime_ms: optional('integer'),
      device_id: optional('string'),
    },
  }),
  of('DELETE', 'hearth/tokens/{tokenId}'),
  of('GET', 'im.nheko.summary/rooms/{roomIdOrAlias}/summary', { auth: 'optional', query: ['via'] }),
  of('GET', 'uk.half-shot.msc2666/user/mutual_rooms', { query: ['user_id', 'batch_token'] }),
  of('PUT', 'org.matrix.msc4140/rooms/{roomId}/delayed_event/{eventType}/{txnId}', {
    body: { content: required('object'), delay_ms: required('integer'), state_key: optional('string') },
  }),
  of('GET', 'org.matrix.msc4140/delayed_events', { query: ['status'] }),
  of('GET', 'org.matrix.msc4140/delayed_events/{delayId}'),
  of('POST', 'org.matrix.msc4140/delayed_events/{delayId}/send', { auth: 'optional' }),
  of('POST', 'org.matrix.msc4140/delayed_events/{delayId}/cancel', { auth: 'optional' }),
  of('POST', 'org.matrix.msc4140/delayed_events/{delayId}/restart', { auth: 'optional' }),
  of('POST', 'org.matrix.msc4140/delayed_events/{delayId}', { auth: 'optional', body: { action: required('string') } }),
  of('GET', 'io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription'),
  of('PUT', 'io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription', {
    body: { automatic: optional('string') },
  }),
  of('DELETE', 'io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription'),
  of('POST', 'io.element.msc4195/rtc/livekit/get_token', {
    body: {
      room_id: required('string'),
      slot_id: required('string'),
      url: required('string'),
      member_id: required('string'),
      server_name: optional('string'),
    },
  }),
  of('GET', 'io.element.msc4308/thread_subscriptions', { query: ['dir', 'from', 'to', 'limit'] }),
  of('GET', 'io.element.msc4388/rendezvous', { auth: 'optional' }),
  of('POST', 'io.element.msc4388/rendezvous', { auth: 'optional', body: { data: required('string') } }),
  of('GET', 'io.element.msc4388/rendezvous/{sessionId}', { auth: 'none' }),
  of('PUT', 'io.element.msc4388/rendezvous/{sessionId}', {
    auth: 'none',
    body: { data: required('string'), sequence_token: required('string') },
  }),
  of('PUT', 'io.element.msc4388/rendezvous/{sessionId}/{txnId}', {
    auth: 'none',
    body: { data: required('string'), sequence_token: required('string') },
  }),
  of('DELETE', 'io.element.msc4388/rendezvous/{sessionId}', { auth: 'none' }),
  of('GET', 'org.matrix.msc4108/rendezvous/{sessionId}', { auth: 'none' }),
  of('DELETE', 'org.matrix.msc4108/rendezvous/{sessionId}', { auth: 'none' }),
  of('PUT', 'org.matrix.msc3814.v1/dehydrated_device', {
    body: {
      device_id: required('string'),
      device_data: required('object'),
      device_keys: required('object'),
      initial_device_display_name: optional('string'),
      one_time_keys: optional('object'),
      fallback_keys: optional('object'),
    },
  }),
  of('GET', 'org.matrix.msc3814.v1/dehydrated_device'),
  of('DELETE', 'org.matrix.msc3814.v1/dehydrated_device'),
  of('GET', 'org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events', { query: ['from', 'next_batch'] }),
  of('POST', 'org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events', { body: { next_batch: optional('string') } }),
  of('POST', 'org.matrix.simplified_msc3575/sync', {
    query: ['pos', 'timeout', 'set_presence'],
    body: {
      lists: optional('object'),
      room_subscriptions: optional('object'),
      extensions: optional('object'),
      conn_id: optional('string'),
    },
  }),
  { ...of('POST', '', { body: { lists: optional('object') } }), path: '/_matrix/client/v4/sync' },
  { ...of('POST', '', { body: {} }), path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}' },
  {
    ...of('POST', '', { body: { reason: optional('string') } }),
    path: '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}',
  },
  { ...of('GET', ''), path: '/_matrix/client/v3/pushrules/global/{kind}' },
  { ...of('DELETE', ''), path: '/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}' },
  { ...of('GET', '', { auth: 'none' }), path: '/_synapse/admin/v1/register' },
  {
    ...of('POST', '', { auth: 'none', body: { nonce: required('string'), username: required('string') } }),
    path: '/_synapse/admin/v1/register',
  },
  of('POST', 'account_validity/send_mail'),
  of('POST', 'add_threepid/msisdn/submit_token', {
    auth: 'none',
    body: { sid: required('string'), client_secret: required('string'), token: required('string') },
  }),
  ...ADMIN_OPERATIONS,
]

function of(method: string, path: string, more: Partial<Pick<Operation, 'auth' | 'query' | 'body'>> = {}): Operation {
  return { method, path: `/_matrix/client/unstable/${path}`, auth: 'user', query: [], ...more }
}

function required(type: string): BodyProperty {
  return { types: [type], required: true }
}

function optional(type: string): BodyProperty {
  return { types: [type] }
}
