import { expect } from 'vitest'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { createRoom, eventPath, roomPath, v3 } from '../rooms.ts'
import { entries, KIB, loggedInAgain, MIB, ofUser, refused, text, unstable, untilRefused } from './sizes.ts'

function deviceKeys({ userId, deviceId }: TestUser, more: object = {}): object {
  const device_keys = { user_id: userId, device_id: deviceId, algorithms: [], keys: {}, signatures: {}, ...more }
  return { device_keys }
}

function backup(auth_data: object = {}): object {
  return { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data }
}

function sessionKey(session_data: object = {}): object {
  return { first_message_index: 0, forwarded_count: 0, is_verified: false, session_data }
}

async function backupVersion(user: TestUser): Promise<string> {
  return (await user.post(`${v3}/room_keys/version`, backup())).version
}

function pusher(pushkey: string, more: object = {}): object {
  const data = { url: 'https://push.example.org/_matrix/push/v1/notify' }
  const names = { app_display_name: 'app', device_display_name: 'device', lang: 'en' }
  return { kind: 'http', app_id: 'app', pushkey, data, append: true, ...names, ...more }
}

/** Data that users store, beyond the limits. */
export const storedThings: Attack[] = [
  refused('account data of 9.5 MB', (user) =>
    user.ask('PUT', ofUser(user, 'account_data/org.example'), { a: text(9.5 * MIB) }),
  ),
  refused('account data just over the limit, in characters of three bytes', (user) =>
    user.ask('PUT', ofUser(user, 'account_data/org.example'), { a: '€'.repeat(MIB / 3) }),
  ),
  refused('room account data that is too large', (user, { roomId }) =>
    user.ask('PUT', ofUser(user, `rooms/${encodeURIComponent(roomId)}/account_data/org.example`), { a: text(2 * MIB) }),
  ),
  refused('an ignored user list that is too large', (user) =>
    user.ask('PUT', ofUser(user, 'account_data/m.ignored_user_list'), {
      ignored_users: entries(30_000, (place) => `@${place}:${text(30)}.example.org`, {}),
    }),
  ),
  refused('more account data in all than is kept', (user) =>
    untilRefused(4, (place) => user.ask('PUT', ofUser(user, `account_data/org.${place}`), { a: text(700 * KIB) })),
  ),
  refused('many small entries of account data', async (user) => {
    await user.put(ofUser(user, 'account_data/org.large'), { a: text(MIB - 100) })
    await user.put(ofUser(user, 'account_data/org.larger'), { a: text(MIB - 10 * KIB) })
    return untilRefused(100, (place) => user.ask('PUT', ofUser(user, `account_data/org.${place}`), { a: 1 }))
  }),
  refused('a tag that is too large', (user, { roomId }) =>
    user.ask('PUT', ofUser(user, `rooms/${encodeURIComponent(roomId)}/tags/u.big`), { a: text(2 * MIB) }),
  ),
  refused('many tags', async (user, { roomId }) =>
    untilRefused(6, (place) =>
      user.ask('PUT', ofUser(user, `rooms/${encodeURIComponent(roomId)}/tags/u.${place}`), { a: text(300 * KIB) }),
    ),
  ),
  refused('a message to a device of 9.8 MB', (user) =>
    user.ask('PUT', `${v3}/sendToDevice/org.example/1`, {
      messages: { [user.userId]: { '*': { a: text(9.8 * MIB) } } },
    }),
  ),
  refused('one large message to a device among small ones', (user) =>
    user.ask('PUT', `${v3}/sendToDevice/org.example/1`, {
      messages: { [user.userId]: { A: {}, B: { a: text(300 * KIB) } } },
    }),
  ),
  refused('a large message to a device of another server', (user) =>
    user.ask('PUT', `${v3}/sendToDevice/org.example/1`, {
      messages: { '@bob:elsewhere.test': { B: { a: text(300 * KIB) } } },
    }),
  ),
  refused('messages to many devices at once', (user) =>
    user.ask('PUT', `${v3}/sendToDevice/org.example/1`, {
      messages: { [user.userId]: entries(51, (place) => `D${place}`, {}) },
    }),
  ),
  refused('device keys that are too large', (user) =>
    user.ask('POST', `${v3}/keys/upload`, deviceKeys(user, { padding: text(33 * KIB) })),
  ),
  refused('device keys with 10,000 signatures', (user) =>
    user.ask('POST', `${v3}/keys/upload`, {
      ...deviceKeys(user, { signatures: { [user.userId]: entries(10_000, (place) => `ed25519:${place}`, 'x') } }),
    }),
  ),
  refused('more device keys in all than is kept', async (user) => {
    await user.post(`${v3}/keys/upload`, deviceKeys(user, { padding: text(30 * KIB) }))
    const other = await loggedInAgain(user)
    return other.ask('POST', `${v3}/keys/upload`, deviceKeys(other, { padding: text(30 * KIB) }))
  }),
  refused('a one-time key that is too large', (user) =>
    user.ask('POST', `${v3}/keys/upload`, {
      one_time_keys: { 'signed_curve25519:A': { key: text(9 * KIB), signatures: {} } },
    }),
  ),
  refused('more one-time keys than a device can have', (user) =>
    user.ask('POST', `${v3}/keys/upload`, { one_time_keys: entries(21, (place) => `curve25519:${place}`, 'key') }),
  ),
  refused('one-time keys again and again', (user) =>
    untilRefused(4, (place) =>
      user.ask('POST', `${v3}/keys/upload`, {
        one_time_keys: entries(8, (each) => `curve25519:${place}_${each}`, 'key'),
      }),
    ),
  ),
  refused('a fallback key that is too large', (user) =>
    user.ask('POST', `${v3}/keys/upload`, {
      fallback_keys: { 'signed_curve25519:A': { key: text(9 * KIB), signatures: {} } },
    }),
  ),
  refused('fallback keys of many algorithms', (user) =>
    user.ask('POST', `${v3}/keys/upload`, { fallback_keys: entries(4, (place) => `algorithm${place}:A`, 'key') }),
  ),
  refused('fallback keys of one more algorithm with each request', (user) =>
    untilRefused(4, (place) =>
      user.ask('POST', `${v3}/keys/upload`, { fallback_keys: { [`algorithm${place}:A`]: 'key' } }),
    ),
  ),
  refused('a cross-signing key that is too large', (user) =>
    user.ask('POST', `${v3}/keys/device_signing/upload`, {
      master_key: { user_id: user.userId, usage: ['master'], keys: { 'ed25519:abc': 'abc' }, padding: text(33 * KIB) },
    }),
  ),
  refused('signatures on many keys at once', (user) =>
    user.ask('POST', `${v3}/keys/signatures/upload`, { [user.userId]: entries(11, (place) => `D${place}`, {}) }),
  ),
  refused('a backup whose auth_data is too large', (user) =>
    user.ask('POST', `${v3}/room_keys/version`, backup({ a: text(65 * KIB) })),
  ),
  refused('auth_data that grows with a change', async (user) => {
    const version = await backupVersion(user)
    return user.ask('PUT', `${v3}/room_keys/version/${version}`, backup({ a: text(65 * KIB) }))
  }),
  refused('backup after backup', (user) =>
    untilRefused(4, () => user.ask('POST', `${v3}/room_keys/version`, backup())),
  ),
  refused('a key to back up that is too large', async (user, { roomId }) => {
    const version = await backupVersion(user)
    return user.ask('PUT', `${v3}/room_keys/keys?version=${version}`, {
      rooms: { [roomId]: { sessions: { A: sessionKey({ a: text(65 * KIB) }) } } },
    })
  }),
  refused('more keys than a user can back up', async (user, { roomId }) => {
    const version = await backupVersion(user)
    return user.ask('PUT', `${v3}/room_keys/keys/${encodeURIComponent(roomId)}?version=${version}`, {
      sessions: entries(11, (place) => `S${place}`, sessionKey()),
    })
  }),
  refused('one more key to back up again and again', async (user, { roomId }) => {
    const version = await backupVersion(user)
    const path = (place: number) => `room_keys/keys/${encodeURIComponent(roomId)}/S${place}?version=${version}`
    return untilRefused(11, (place) => user.ask('PUT', `${v3}/${path(place)}`, sessionKey()))
  }),
  refused('more bytes of keys than a user can back up', async (user, { roomId }) => {
    const version = await backupVersion(user)
    const sessions = { A: sessionKey({ a: text(60 * KIB) }), B: sessionKey({ a: text(60 * KIB) }) }
    return user.ask('PUT', `${v3}/room_keys/keys?version=${version}`, { rooms: { [roomId]: { sessions } } })
  }),
  refused('keys that grow in the place of others', async (user, { roomId }) => {
    const version = await backupVersion(user)
    const put = (sessions: object) =>
      user.ask('PUT', `${v3}/room_keys/keys?version=${version}`, { rooms: { [roomId]: { sessions } } })
    const worse = { ...sessionKey(), first_message_index: 5 }
    expect((await put({ A: worse, B: worse })).status).toBe(200)
    return put({ A: sessionKey({ a: text(60 * KIB) }), B: sessionKey({ a: text(60 * KIB) }) })
  }),
  refused('a dehydrated device that is too large', (user) =>
    user.ask('PUT', `${unstable}/org.matrix.msc3814.v1/dehydrated_device`, {
      device_id: 'DEHYDRATED',
      device_data: { a: text(257 * KIB) },
      ...deviceKeys({ ...user, deviceId: 'DEHYDRATED' }),
    }),
  ),
  refused('a filter that is too large', (user) =>
    user.ask('POST', ofUser(user, 'filter'), { unknown: text(65 * KIB) }),
  ),
  refused('filter after filter', (user) =>
    untilRefused(6, (place) => user.ask('POST', ofUser(user, 'filter'), { room: { timeline: { limit: place } } })),
  ),
  refused('a pusher that is too large', (user) =>
    user.ask('POST', `${v3}/pushers/set`, pusher('key', { app_display_name: text(17 * KIB) })),
  ),
  refused('pusher after pusher', (user) =>
    untilRefused(4, (place) => user.ask('POST', `${v3}/pushers/set`, pusher(`key${place}`))),
  ),
  refused('push rules that are too large', (user) =>
    untilRefused(4, (place) =>
      user.ask('PUT', `${v3}/pushrules/global/override/rule${place}`, {
        actions: ['notify'],
        conditions: [{ kind: 'org.example', value: text(300 * KIB) }],
      }),
    ),
  ),
  refused('actions of a push rule that are too large', (user) =>
    user.ask('PUT', `${v3}/pushrules/global/room/!room:example.org`, {
      actions: ['notify', { set_tweak: 'sound', value: text(5 * KIB) }],
    }),
  ),
  refused('actions of a rule of the server that are too large', (user) =>
    user.ask('PUT', `${v3}/pushrules/global/underride/.m.rule.message/actions`, {
      actions: ['notify', ...Array.from({ length: 300 }, (_, place) => ({ set_tweak: `tweak${place}` }))],
    }),
  ),
  refused('a large request that waits for authentication', (user) =>
    user.ask('POST', `${v3}/delete_devices`, { devices: Array.from({ length: 300 }, (_, i) => `${i}${text(500)}`) }),
  ),
  refused('a room with much initial state', (user) =>
    user.ask('POST', `${v3}/createRoom`, {
      initial_state: Array.from({ length: 11 }, (_, i) => ({ type: 'org.example', state_key: `${i}`, content: {} })),
    }),
  ),
  refused('a room whose name is too large for an event', (user) =>
    user.ask('POST', `${v3}/createRoom`, { name: text(66 * KIB) }),
  ),
  refused('subscriptions to many threads', async (user) => {
    const roomId = await createRoom(user)
    const threads = await Promise.all(
      [1, 2, 3].map(async (place) => {
        const path = roomPath(roomId, `send/m.room.message/t${place}`)
        return (await user.put(path, { msgtype: 'm.text', body: 'root' })).event_id as string
      }),
    )
    return untilRefused(3, (place) =>
      user.ask(
        'PUT',
        `${unstable}/io.element.msc4306/rooms/${encodeURIComponent(roomId)}/${eventPath('thread', threads[place]!)}/subscription`,
        {},
      ),
    )
  }),
]

/** Lists that are too long. */
export const longLists: Attack[] = [
  {
    name: 'a filter with 440,000 globs',
    async attempt({ alice }) {
      const types = Array.from({ length: 440_000 }, () => '*')
      const { status, body } = await alice.ask('POST', ofUser(alice, 'filter'), { room: { timeline: { types } } })
      expect([status, body.errcode]).toEqual([400, 'M_BAD_JSON'])
    },
  },
  {
    name: 'a small filter with more globs than it can have',
    async attempt({ alice }) {
      const types = Array.from({ length: 1001 }, () => '*')
      const { status, body } = await alice.ask('POST', ofUser(alice, 'filter'), { account_data: { types } })
      expect([status, body.errcode]).toEqual([400, 'M_BAD_JSON'])
    },
  },
  {
    name: 'a filter with 440,000 globs in a search',
    async attempt({ alice }) {
      const filter = { types: Array.from({ length: 440_000 }, () => '*') }
      const room_events = { search_term: 'hello', filter }
      const { status, body } = await alice.ask('POST', `${v3}/search`, { search_categories: { room_events } })
      expect([status, body.errcode]).toEqual([400, 'M_BAD_JSON'])
    },
  },
  {
    name: 'an inline filter with more globs than a stored one can have',
    async attempt({ alice }) {
      const filter = { presence: { not_types: Array.from({ length: 1001 }, () => 'a*') } }
      const query = new URLSearchParams({ filter: JSON.stringify(filter) })
      const { status, body } = await alice.ask('GET', `${v3}/sync?${query}`)
      expect([status, body.errcode]).toEqual([400, 'M_BAD_JSON'])
    },
  },
  {
    name: 'a login for each run of a program',
    async attempt({ url }) {
      const user = await registerUser(url)
      const first = await loggedInAgain(user)
      for (let login = 0; login < 4; login++) await loggedInAgain(user)
      const { devices } = await (await loggedInAgain(user)).get(`${v3}/devices`)
      expect(devices).toHaveLength(4)
      expect((await first.ask('GET', `${v3}/devices`)).status).toBe(401)
    },
  },
]
