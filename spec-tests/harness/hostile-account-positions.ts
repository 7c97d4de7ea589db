import { deviceKeysOf, uniqueName } from './client.ts'
import type { ClientPosition } from './hostile-client-positions.ts'
import type { HostileRequest } from './hostile-room.ts'
import { encodeHostile } from './hostile-strings.ts'
import { v3 } from './rooms.ts'

const position = (name: string, requests: ClientPosition['requests']): ClientPosition => ({ name, requests })

/** In devices and keys. */
export const KEY_POSITIONS: ClientPosition[] = [
  position('devices', (text) => [
    { path: `${v3}/devices/${encodeHostile(text)}`, body: { display_name: text } },
    { method: 'GET', path: `${v3}/devices/${encodeHostile(text)}` },
    { method: 'POST', path: `${v3}/delete_devices`, body: { devices: [text] } },
  ]),
  position('device keys', (text, { mallory }) => {
    const { userId, deviceId } = mallory
    const keys = deviceKeysOf(mallory)
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/keys/upload`, body })
    return [
      post({ device_keys: { ...keys, algorithms: [text], keys: { [text]: text, [`ed25519:${deviceId}`]: text } } }),
      post({ device_keys: { ...keys, signatures: { [userId]: { [text]: text }, [text]: { [text]: text } } } }),
      post({ device_keys: { ...keys, [text]: { [text]: text } } }),
      post({ device_keys: { ...keys, device_id: text } }),
    ]
  }),
  position('one-time and fallback keys', (text, { mallory: { userId } }) => {
    const key = { key: text, signatures: { [userId]: { [text]: text } }, [text]: text }
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/keys/upload`, body })
    return [
      post({ one_time_keys: { [`signed_curve25519:${text}`]: key } }),
      post({ one_time_keys: { [`${text}:AAAA`]: key, [text]: text } }),
      post({ fallback_keys: { [`signed_curve25519:${text}`]: { ...key, fallback: true } } }),
      post({ fallback_keys: { [`${text}:AAAA`]: text } }),
    ]
  }),
  position('cross-signing keys', (text, { mallory: { userId } }) => {
    const key = { user_id: userId, usage: ['master'], keys: { [`ed25519:${text}`]: text } }
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/keys/device_signing/upload`, body })
    return [
      post({ master_key: { ...key, usage: ['master', text] } }),
      post({ master_key: { ...key, [text]: { [text]: text } } }),
      post({ master_key: key, self_signing_key: key, user_signing_key: key }),
    ]
  }),
  position('signatures', (text, { mallory: { userId, deviceId } }) => {
    const signed = { user_id: userId, device_id: deviceId, signatures: { [userId]: { [text]: text } }, [text]: text }
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/keys/signatures/upload`, body })
    return [post({ [userId]: { [text]: signed, [deviceId]: signed } }), post({ [text]: { [text]: signed } })]
  }),
  position('keys that are asked for', (text, { mallory: { userId } }) => [
    { method: 'POST', path: `${v3}/keys/query`, body: { device_keys: { [userId]: [text] } } },
    { method: 'POST', path: `${v3}/keys/query`, body: { device_keys: { [`@${text}:hearth.test`]: [] } } },
    { method: 'POST', path: `${v3}/keys/claim`, body: { one_time_keys: { [userId]: { [text]: text } } } },
    { method: 'GET', path: `${v3}/keys/changes?from=${encodeHostile(text)}&to=${encodeHostile(text)}` },
  ]),
  position('key backups', (text, { roomId }) => {
    const key = { first_message_index: 0, forwarded_count: 0, is_verified: true, session_data: { [text]: text } }
    return [
      { method: 'POST', path: `${v3}/room_keys/version`, body: { algorithm: text, auth_data: { [text]: text } } },
      { path: `${v3}/room_keys/keys?version=1`, body: { rooms: { [roomId]: { sessions: { [text]: key } } } } },
      { path: `${v3}/room_keys/keys?version=1`, body: { rooms: { [`!${text}:x`]: { sessions: { s: key } } } } },
      { path: `${v3}/room_keys/keys/${encodeURIComponent(roomId)}/${encodeHostile(text)}?version=1`, body: key },
      { method: 'GET', path: `${v3}/room_keys/keys?version=${encodeHostile(text)}` },
      { method: 'GET', path: `${v3}/room_keys/keys?version=1` },
    ]
  }),
  position('a dehydrated device', (text, { mallory: { userId } }) => {
    const path = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'
    const device_keys = { ...deviceKeysOf({ userId, deviceId: 'D' } as never), [text]: text }
    return [
      {
        path,
        body: { device_id: text, device_data: { algorithm: text }, device_keys: { ...device_keys, device_id: text } },
      },
      { path, body: { device_id: 'D', device_data: { [text]: text }, device_keys, initial_device_display_name: text } },
      { method: 'POST', path: `${path}/${encodeHostile(text)}/events`, body: { next_batch: text } },
      { method: 'DELETE', path },
    ]
  }),
  position('messages to devices', (text, { world: { bob } }) => {
    const path = (type: string) => `${v3}/sendToDevice/${encodeHostile(type)}/${uniqueName()}`
    const to = (device: string, content: object) => ({ messages: { [bob.userId]: { [device]: content } } })
    return [
      { path: path(text), body: to('*', {}) },
      { path: path('m.x'), body: to(text, {}) },
      { path: path('m.x'), body: to(bob.deviceId, { [text]: { text: [text] } }) },
      { path: path('m.x'), body: { messages: { [`@${text}:x`]: { '*': {} }, [text]: { '*': {} } } } },
    ]
  }),
]

/** In accounts, and in requests without one. */
export const ACCOUNT_POSITIONS: ClientPosition[] = [
  position('new accounts', (text) => {
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/register`, body })
    const auth = { type: 'm.login.dummy' }
    const username = uniqueName()
    return [
      post({ auth, username: text, password: 'correct horse battery' }),
      post({ auth, username, password: `correct horse ${text}`, device_id: text, initial_device_display_name: text }),
      post({ auth: { type: text, session: text, token: text }, username: uniqueName(), password: text }),
      { method: 'GET', path: `${v3}/register/available?username=${encodeHostile(text)}` },
      {
        method: 'GET',
        path: `/_matrix/client/v1/register/m.login.registration_token/validity?token=${encodeHostile(text)}`,
      },
    ]
  }),
  position('logging in', (text) => {
    const post = (body: object): HostileRequest => ({ method: 'POST', path: `${v3}/login`, body })
    return [
      post({ type: 'm.login.password', identifier: { type: 'm.id.user', user: text }, password: text }),
      post({ type: 'm.login.password', user: `@${text}:x`, password: text, device_id: text }),
      post({
        type: 'm.login.password',
        identifier: { type: 'm.id.thirdparty', medium: 'email', address: `${text}@x.test` },
        password: text,
      }),
      post({ type: 'm.login.token', token: text }),
      post({ type: text, identifier: { type: text } }),
      { method: 'POST', path: `${v3}/refresh`, body: { refresh_token: text } },
      {
        method: 'POST',
        path: `${v3}/account/password`,
        body: { new_password: text, auth: { type: text, session: text } },
      },
    ]
  }),
  position('addresses', (text) => {
    const body = { client_secret: text, email: `${text}@x.test`, send_attempt: 1, next_link: text }
    return [
      ...['account/3pid/email', 'account/password/email', 'register/email'].map(
        (path): HostileRequest => ({
          method: 'POST',
          path: `${v3}/${path}/requestToken`,
          body,
        }),
      ),
      { method: 'POST', path: `${v3}/account/3pid/email/requestToken`, body: { ...body, client_secret: 'secret' } },
      { method: 'POST', path: `${v3}/account/3pid/add`, body: { client_secret: text, sid: text } },
      { method: 'POST', path: `${v3}/account/3pid/delete`, body: { medium: text, address: text } },
    ]
  }),
  position('aliases', (text, { roomId }) => [
    {
      path: `${v3}/directory/room/${encodeHostile(`#${text}:${roomId.slice(roomId.indexOf(':') + 1)}`)}`,
      body: { room_id: roomId },
    },
    { path: `${v3}/directory/room/${encodeHostile(`#${text}:x`)}`, body: { room_id: `!${text}:x` } },
  ]),
  position('rendezvous sessions', (text) => {
    const path = '/_matrix/client/unstable/io.element.msc4388/rendezvous'
    return [
      { method: 'POST', path, body: { data: text } },
      { method: 'GET', path: `${path}/${encodeHostile(text)}` },
      { path: `${path}/${encodeHostile(text)}`, body: { data: text, sequence_token: text } },
    ]
  }),
]
