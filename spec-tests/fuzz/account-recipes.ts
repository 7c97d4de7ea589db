import { createHmac, randomBytes } from 'node:crypto'
import { SHARED_SECRET } from '../harness/hearth.ts'
import { drawAccountData, drawToDevice } from './event-values.ts'
import { PASSWORD } from './fuzz-users.ts'
import { hostileJson } from './hostile-json.ts'
import { referTo } from './references.ts'
import type { Making, Recipe } from './request-draft.ts'

const key = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')

/** Returns the auth data with the password. */
function passwordAuth({ actor, draw }: Making): object {
  const identifier = { type: 'm.id.user', user: actor.userId }
  const session = draw.happens(0.15) ? { session: referTo('session') } : {}
  return { type: 'm.login.password', identifier, password: PASSWORD, ...session }
}

const withPassword =
  (more: object | ((making: Making) => object) = {}): Recipe =>
  (making) => ({
    body: { ...(typeof more === 'function' ? more(making) : more), auth: passwordAuth(making) },
  })

function signedKey(userId: string, deviceId: string): object {
  return { key: key(32), signatures: { [userId]: { [`ed25519:${deviceId}`]: key(64) } } }
}

function deviceKeys({ actor: { userId, deviceId } }: Making, id = deviceId): object {
  return {
    user_id: userId,
    device_id: id,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [`ed25519:${id}`]: key(32), [`curve25519:${id}`]: key(32) },
    signatures: { [userId]: { [`ed25519:${id}`]: key(64) } },
  }
}

function fallbackKey({ actor }: Making): object {
  return { 'signed_curve25519:FALLBACK': { ...signedKey(actor.userId, actor.deviceId), fallback: true } }
}

function oneTimeKeys({ actor, draw }: Making): object {
  const names = Array.from({ length: 1 + draw.below(3) }, () => `signed_curve25519:${key(4).replace(/\W/g, 'A')}`)
  return Object.fromEntries(names.map((name) => [name, signedKey(actor.userId, actor.deviceId)]))
}

function crossSigningKey({ actor: { userId } }: Making, usage: string): object {
  const publicKey = key(32)
  return { user_id: userId, usage: [usage], keys: { [`ed25519:${publicKey}`]: publicKey } }
}

function condition({ draw }: Making): unknown {
  return draw.pick<unknown>([
    { kind: 'event_match', key: 'content.body', pattern: 'te*a' },
    { kind: 'event_match', key: 'type', pattern: 'm.room.*' },
    { kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.thread' },
    { kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: referTo('user') },
    { kind: 'contains_display_name' },
    { kind: 'room_member_count', is: '>2' },
    { kind: 'sender_notification_permission', key: 'room' },
  ])
}

const OWN_RULES = ['override', 'underride', 'content'].flatMap((kind) =>
  ['one', 'two', 'three'].map((ruleId) => ({ kind, ruleId })),
)
/** Includes some default rules. */
const RULES = [
  ...OWN_RULES.slice(0, 4),
  { kind: 'override', ruleId: '.m.rule.master' },
  { kind: 'override', ruleId: '.m.rule.is_user_mention' },
  { kind: 'content', ruleId: '.m.rule.contains_user_name' },
  { kind: 'underride', ruleId: '.m.rule.message' },
]

const v3 = '/_matrix/client/v3'
const unstable = '/_matrix/client/unstable'

/** Recipes for accounts, devices, keys and push. */
export const ACCOUNT_RECIPES: Record<string, Recipe> = {
  [`POST ${v3}/register`]: ({ draw }) => ({
    query: draw.happens(0.2) ? { kind: 'guest' } : {},
    body: {
      username: referTo('new name'),
      password: PASSWORD,
      auth: { type: 'm.login.dummy', ...(draw.happens(0.7) && { session: referTo('session') }) },
      inhibit_login: true,
    },
  }),
  [`GET ${v3}/register/available`]: () => ({ query: { username: referTo('new name') } }),
  [`POST ${v3}/login`]: ({ draw, actor }) => ({
    body: draw.happens(0.2)
      ? { type: 'm.login.token', token: referTo('login token') }
      : {
          type: 'm.login.password',
          identifier: { type: 'm.id.user', user: actor.userId },
          password: PASSWORD,
          device_id: draw.pick(['FUZZ', 'FUZZ1', 'FUZZ2']),
          ...(draw.happens(0.3) && { refresh_token: true }),
        },
  }),
  [`POST ${v3}/refresh`]: () => ({ body: { refresh_token: referTo('refresh token') } }),
  'POST /_matrix/client/v1/login/get_token': withPassword(),
  [`POST ${v3}/account/password`]: withPassword({ new_password: PASSWORD, logout_devices: false }),
  [`POST ${v3}/account/deactivate`]: ({ draw, ...making }) =>
    // Mostly with a wrong password, since further requests need the account.
    draw.happens(0.1) ? withPassword({ erase: draw.happens(0.5) })({ draw, ...making }) : {},
  [`POST ${v3}/delete_devices`]: withPassword({ devices: ['FUZZ1', 'FUZZ2'] }),
  [`DELETE ${v3}/devices/{deviceId}`]: (making) => ({ params: { deviceId: 'FUZZ' }, ...withPassword()(making) }),
  [`PUT ${v3}/devices/{deviceId}`]: ({ actor }) => ({ params: { deviceId: actor.deviceId } }),
  [`POST ${v3}/keys/upload`]: (making) => ({
    body: {
      ...(making.draw.happens(0.5) && { device_keys: deviceKeys(making) }),
      one_time_keys: oneTimeKeys(making),
      ...(making.draw.happens(0.3) && { fallback_keys: fallbackKey(making) }),
    },
  }),
  [`POST ${v3}/keys/query`]: ({ draw }) => ({
    body: { device_keys: { [referTo('user')]: [], ...(draw.happens(0.3) && { '@peer:elsewhere.test': ['X'] }) } },
  }),
  [`POST ${v3}/keys/claim`]: ({ draw, actor }) => ({
    body: {
      one_time_keys: {
        [draw.happens(0.5) ? actor.userId : referTo('user')]: {
          [draw.happens(0.5) ? actor.deviceId : referTo('device')]: 'signed_curve25519',
        },
      },
    },
  }),
  [`POST ${v3}/keys/device_signing/upload`]: (making) => ({
    body: { master_key: crossSigningKey(making, 'master'), auth: passwordAuth(making) },
  }),
  [`POST ${v3}/keys/signatures/upload`]: (making) => ({
    body: { [making.actor.userId]: { [making.actor.deviceId]: deviceKeys(making) } },
  }),
  [`PUT ${unstable}/org.matrix.msc3814.v1/dehydrated_device`]: (making) => ({
    body: {
      device_id: 'DEHYDRATED',
      device_data: { algorithm: 'm.dehydration.v1.olm', device_pickle: key(64) },
      device_keys: deviceKeys(making, 'DEHYDRATED'),
      one_time_keys: oneTimeKeys(making),
      fallback_keys: fallbackKey(making),
    },
  }),
  [`GET ${unstable}/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events`]: () => ({
    params: { deviceId: 'DEHYDRATED' },
  }),
  [`POST ${unstable}/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events`]: () => ({
    params: { deviceId: 'DEHYDRATED' },
    body: {},
  }),
  [`PUT ${v3}/sendToDevice/{eventType}/{txnId}`]: ({ draw, actor }) => {
    const { type, content } = drawToDevice(draw)
    const devices = { [draw.pick(['*', actor.deviceId, referTo('device')])]: content }
    return { params: { eventType: type }, body: { messages: { [referTo('user')]: devices } } }
  },
  [`POST ${v3}/pushers/set`]: ({ draw }) => ({
    body: {
      pushkey: draw.pick(['one', 'two', 'three']),
      kind: draw.pick(['http', 'http', null]),
      app_id: 'org.example.fuzz',
      app_display_name: 'Fuzz',
      device_display_name: 'Device',
      lang: 'en',
      data: { url: referTo('url'), ...(draw.happens(0.3) && { format: 'event_id_only' }) },
    },
  }),
  [`PUT ${v3}/pushrules/global/{kind}/{ruleId}`]: (making) => {
    const kind = making.draw.pick(['override', 'underride', 'content', 'room', 'sender'])
    const ruleId = { room: referTo('room'), sender: referTo('user') }[kind] ?? making.draw.pick(['one', 'two', 'three'])
    const more = { content: { pattern: 'te*a' }, room: {}, sender: {} }[kind] ?? { conditions: [condition(making)] }
    const actions = making.draw.pick<unknown[]>([['notify'], ['dont_notify'], ['notify', { set_tweak: 'highlight' }]])
    return { params: { kind, ruleId }, query: {}, body: { actions, ...more } }
  },
  ...Object.fromEntries(
    ['GET {}', 'GET {}/actions', 'PUT {}/actions', 'GET {}/enabled', 'PUT {}/enabled', 'DELETE {}'].map((name) => [
      name.replace('{}', `${v3}/pushrules/global/{kind}/{ruleId}`),
      ({ draw }: Making) => ({ params: draw.pick(name.startsWith('DELETE') ? OWN_RULES : RULES) }),
    ]),
  ),
  [`POST ${v3}/account/3pid/add`]: withPassword({ sid: referTo('mail sid'), client_secret: referTo('client secret') }),
  [`PUT ${v3}/user/{userId}/account_data/{type}`]: ({ draw }) => {
    const { type, content } = drawAccountData(draw)
    return { params: { type }, body: content }
  },
  [`PUT ${v3}/user/{userId}/rooms/{roomId}/account_data/{type}`]: ({ draw }) => {
    const { type, content } = drawAccountData(draw)
    return { params: { type }, body: content }
  },
  [`PUT ${v3}/profile/{userId}/{keyName}`]: ({ draw }) => {
    const keyName = draw.pick(['displayname', 'avatar_url', 'm.tz', 'org.example.field'])
    const value = keyName === 'avatar_url' ? referTo('mxc') : draw.pick(['Fuzz', 'Europe/Rome', ''])
    return { params: { keyName }, body: { [keyName]: value } }
  },
  [`GET ${v3}/profile/{userId}/{keyName}`]: ({ draw }) => ({
    params: { keyName: draw.pick(['displayname', 'avatar_url', 'm.tz', 'org.example.field']) },
  }),
  [`POST ${v3}/user/{userId}/openid/request_token`]: () => ({ body: {} }),
  [`POST ${v3}/room_keys/version`]: ({ draw }) => ({
    body: { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: key(32), n: draw.below(9) } },
  }),
  ...Object.fromEntries(
    ['GET', 'POST'].map((method) => [
      `${method} ${unstable}/hearth/confirm_email/{sid}/{token}`,
      () => ({ params: { sid: referTo('mail sid'), token: referTo('mail token') }, query: {} }),
    ]),
  ),
  'POST /_synapse/admin/v1/register': ({ draw }) => ({
    body: {
      nonce: referTo('nonce'),
      username: referTo('new name'),
      password: PASSWORD,
      admin: draw.happens(0.1),
      mac: '',
    },
    finish: (body) => (isObject(body) && body.mac === '' ? { ...body, mac: macOf(body) } : body),
  }),
  'PUT /_synapse/admin/v1/send_server_notice/{txnId}': () => ({
    body: { user_id: referTo('user'), content: { msgtype: 'm.text', body: 'notice' } },
  }),
  'POST /_synapse/admin/v1/send_server_notice': ({ draw }) => ({
    body: {
      user_id: referTo('user'),
      content: draw.happens(0.8) ? { msgtype: 'm.text', body: 'notice' } : hostileObject(draw),
    },
  }),
  'PUT /_matrix/client/v1/admin/lock/{userId}': ({ draw }) => ({ body: { locked: draw.happens(0.1) } }),
  'PUT /_matrix/client/v1/admin/suspend/{userId}': ({ draw }) => ({ body: { suspended: draw.happens(0.1) } }),
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As in Synapse's tools. */
function macOf({ nonce, username, password, admin }: Record<string, unknown>): string {
  const parts = [nonce, username, password, admin ? 'admin' : 'notadmin']
  const text = parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join('\0')
  return createHmac('sha1', SHARED_SECRET).update(text).digest('hex')
}

function hostileObject(draw: Making['draw']): object {
  return { body: draw.value(hostileJson) }
}
