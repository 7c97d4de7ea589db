import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#key-distribution */
const { url } = inject('homeserver')
const KEYS = '/_matrix/client/v3/keys'
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
})

const key = (text: string) => ({ key: text, signatures: { [alice.userId]: { [`ed25519:${alice.deviceId}`]: 's' } } })

function uploadKeys(user: TestUser, text: string) {
  const { userId, deviceId } = user
  const keys = { [`ed25519:${deviceId}`]: text, [`curve25519:${deviceId}`]: text }
  const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2']
  const device_keys = { user_id: userId, device_id: deviceId, algorithms, keys, signatures: {} }
  return user.post(`${KEYS}/upload`, { device_keys }).then(() => device_keys)
}

test('device keys come back as they were uploaded', async () => {
  const uploaded = await uploadKeys(alice, 'first')
  const answer = await bob.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
  expect(answer.device_keys[alice.userId][alice.deviceId]).toMatchObject(uploaded)
})

test('64 claims at the same time get each of 50 keys once, and then the fallback key', async () => {
  const names = Array.from({ length: 50 }, (_, number) => `signed_curve25519:race${number}`)
  await alice.post(`${KEYS}/upload`, {
    one_time_keys: Object.fromEntries(names.map((name) => [name, key(name)])),
    fallback_keys: { 'signed_curve25519:fallback': { ...key('fallback'), fallback: true } },
  })
  const wanted = { one_time_keys: { [alice.userId]: { [alice.deviceId]: 'signed_curve25519' } } }
  const answers = await Promise.all(Array.from({ length: 64 }, () => bob.post(`${KEYS}/claim`, wanted)))
  const given = answers.flatMap((answer) => Object.keys(answer.one_time_keys[alice.userId][alice.deviceId]))
  expect(given.sort()).toEqual([...names, ...Array<string>(14).fill('signed_curve25519:fallback')].sort())
  const { device_one_time_keys_count, device_unused_fallback_key_types } = await alice.get(
    '/_matrix/client/v3/sync?timeout=0',
  )
  expect(device_one_time_keys_count?.signed_curve25519 ?? 0).toBe(0)
  expect(device_unused_fallback_key_types).toEqual([])
})

test('a user who shares a room gets new keys at once', async () => {
  const { room_id } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
  await bob.post(`/_matrix/client/v3/rooms/${encodeURIComponent(room_id)}/join`)
  const { next_batch } = await bob.get('/_matrix/client/v3/sync')
  const waiting = bob.get(`/_matrix/client/v3/sync?timeout=30000&since=${next_batch}`)
  const uploaded = await uploadKeys(alice, 'second')
  const synced = await waiting
  expect(synced.device_lists.changed).toContain(alice.userId)
  const range = new URLSearchParams({ from: next_batch, to: synced.next_batch })
  expect((await bob.get(`${KEYS}/changes?${range}`)).changed).toContain(alice.userId)
  const answer = await bob.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
  expect(answer.device_keys[alice.userId][alice.deviceId].keys).toEqual(uploaded.keys)
})

const master = (fault: object) => ({
  master_key: { user_id: alice.userId, usage: ['master'], keys: { 'ed25519:abc': 'abc' }, ...fault },
})
const device = (fault: object) => ({
  device_keys: {
    user_id: alice.userId,
    device_id: alice.deviceId,
    algorithms: [],
    keys: {},
    signatures: {},
    ...fault,
  },
})
const oneTime = (uploaded: unknown) => ({ one_time_keys: { 'signed_curve25519:faulty': uploaded } })
const fallback = (uploaded: unknown) => ({ fallback_keys: { 'signed_curve25519:faulty': uploaded } })

test.each<[string, string, () => object]>([
  ['an unknown use beside the right one', 'device_signing/upload', () => master({ usage: ['master', 'telepathy'] })],
  ['a use that is no text', 'device_signing/upload', () => master({ usage: ['master', 7] })],
  ['uses that are no list', 'device_signing/upload', () => master({ usage: 'master' })],
  ['a cross-signing key that is no text', 'device_signing/upload', () => master({ keys: { 'ed25519:7': 7 } })],
  [
    'two cross-signing keys in one',
    'device_signing/upload',
    () => master({ keys: { 'ed25519:a': 'a', 'ed25519:b': 'b' } }),
  ],
  ['signatures of a list', 'device_signing/upload', () => master({ signatures: { [alice.userId]: ['s'] } })],
  ['a signature that is no text', 'device_signing/upload', () => master({ signatures: { [alice.userId]: { a: 7 } } })],
  ['an algorithm that is no text', 'upload', () => device({ algorithms: [7] })],
  ['an identity key that is no text', 'upload', () => device({ keys: { 'ed25519:x': {} } })],
  ['identity keys without signatures', 'upload', () => device({ signatures: undefined })],
  ['a signature of a device that is no text', 'upload', () => device({ signatures: { [alice.userId]: { a: null } } })],
  ...(['one-time', 'fallback'] as const).flatMap((kind): [string, string, () => object][] => {
    const upload = kind === 'fallback' ? fallback : oneTime
    return [
      [`a ${kind} key that is a number`, 'upload', () => upload(7)],
      [`a ${kind} key that is a list`, 'upload', () => upload([key('a')])],
      [`a ${kind} key without its text`, 'upload', () => upload({ signatures: key('a').signatures })],
      [`a ${kind} key whose text is a number`, 'upload', () => upload({ ...key('a'), key: 7 })],
      [`a ${kind} key without signatures`, 'upload', () => upload({ key: 'a' })],
      [`a ${kind} key whose signatures are a text`, 'upload', () => upload({ key: 'a', signatures: 's' })],
      [
        `a ${kind} key with a signature that is a number`,
        'upload',
        () => upload({ key: 'a', signatures: { [alice.userId]: { a: 7 } } }),
      ],
    ]
  }),
])('%s is refused', async (_, path, body) => {
  const { status, body: answer } = await alice.ask('POST', `${KEYS}/${path}`, body())
  expect([status, answer.errcode]).toEqual([400, 'M_BAD_JSON'])
})
