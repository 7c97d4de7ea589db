import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'
import { userEndpoints } from '../user-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let bob: TestClient
beforeAll(async () => {
  api = await startClientApi({ endpoints: [...userEndpoints, ...encryptionEndpoints] })
  bob = await api.client('bob')
})
afterAll(() => api.close())

let made = 0
/** Creates a user whose device is called PHONE. */
async function newUser(): Promise<TestClient> {
  return api.client(`user${++made}`, { deviceId: 'PHONE' })
}

function deviceKeys({ userId }: TestClient, more: object = {}) {
  return {
    user_id: userId,
    device_id: 'PHONE',
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { 'curve25519:PHONE': 'c', 'ed25519:PHONE': 'e' },
    signatures: { [userId]: { 'ed25519:PHONE': 's' } },
    ...more,
  }
}

const key = (text: string, more: object = {}) => ({
  key: text,
  signatures: { '@x:y': { 'ed25519:PHONE': 's' } },
  ...more,
})

describe('upload', () => {
  test('others see device keys as they were uploaded, with the name of the device', async () => {
    const alice = await newUser()
    await alice.ok('POST', '/keys/upload', { device_keys: deviceKeys(alice, { unsigned: { forged: true } }) })
    await alice.ok('PUT', '/devices/PHONE', { display_name: "Alice's phone" })
    const { device_keys, failures } = await bob.ok('POST', '/keys/query', { device_keys: { [alice.userId]: [] } })
    const expected = { ...deviceKeys(alice), unsigned: { device_display_name: "Alice's phone" } }
    expect(device_keys).toEqual({ [alice.userId]: { PHONE: expected } })
    expect(failures).toEqual({})
    const wanting = async (devices: unknown) =>
      (await bob.ok('POST', '/keys/query', { device_keys: { [alice.userId]: devices } })).device_keys[alice.userId]
    expect(Object.keys(await wanting(['PHONE', 'OTHER']))).toEqual(['PHONE'])
    expect(await wanting(['OTHER'])).toEqual({})
  })

  test('the keys go with their device', async () => {
    const alice = await newUser()
    const upload = { device_keys: deviceKeys(alice), one_time_keys: { 'alg:1': 'k' }, fallback_keys: { 'alg:f': 'k' } }
    await alice.ok('POST', '/keys/upload', upload)
    await alice.ok('POST', '/logout')
    expect((await bob.ok('POST', '/keys/query', { device_keys: { [alice.userId]: [] } })).device_keys).toEqual({
      [alice.userId]: {},
    })
    const claim = { one_time_keys: { [alice.userId]: { PHONE: 'alg' } } }
    expect((await bob.ok('POST', '/keys/claim', claim)).one_time_keys).toEqual({})
  })

  test('the same keys again change nothing', async () => {
    const alice = await newUser()
    const upload = (...ids: string[]) =>
      alice.ok('POST', '/keys/upload', {
        one_time_keys: Object.fromEntries(ids.map((id) => [`signed_curve25519:${id}`, key(id)])),
      })
    await upload('a', 'b', 'c')
    await upload('a', 'b', 'c')
    expect(await upload('b', 'c', 'd')).toEqual({ one_time_key_counts: { signed_curve25519: 4 } })
    expect(await alice.ok('POST', '/keys/upload', {})).toEqual({ one_time_key_counts: { signed_curve25519: 4 } })
  })

  test('another key under the same id is refused, with all that came with it', async () => {
    const alice = await newUser()
    await alice.ok('POST', '/keys/upload', { one_time_keys: { 'signed_curve25519:a': key('a') } })
    const answer = await alice.ask('POST', '/keys/upload', {
      one_time_keys: { 'signed_curve25519:a': key('other'), 'signed_curve25519:b': key('b') },
      fallback_keys: { 'signed_curve25519:f': key('f') },
    })
    expect(answer.status).toBe(400)
    expect(answer.body.errcode).toBe('M_INVALID_PARAM')
    expect(answer.body.error).toMatch(/^One time key signed_curve25519:a already exists/)
    expect((await alice.ok('POST', '/keys/upload', {})).one_time_key_counts).toEqual({ signed_curve25519: 1 })
  })

  test.each([
    ['without algorithms', { algorithms: undefined }, 'M_BAD_JSON'],
    ['with keys that are no texts', { keys: { 'ed25519:PHONE': 7 } }, 'M_BAD_JSON'],
    ['of another user', { user_id: '@bob:hearth.test' }, 'M_INVALID_PARAM'],
    ['of another device', { device_id: 'LAPTOP' }, 'M_INVALID_PARAM'],
  ])('device keys %s are refused', async (_, fault, errcode) => {
    const alice = await newUser()
    const answer = await alice.ask('POST', '/keys/upload', { device_keys: deviceKeys(alice, fault) })
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })

  test.each([
    [{ one_time_keys: { 'no-id': 'k' } }, 'M_BAD_JSON'],
    [{ one_time_keys: { 'alg:\0': 'k' } }, 'M_BAD_JSON'],
    [{ one_time_keys: { 'alg:a': 7 } }, 'M_BAD_JSON'],
    [{ one_time_keys: [] }, 'M_BAD_JSON'],
    [{ fallback_keys: { 'alg:a': 'k', 'alg:b': 'k' } }, 'M_INVALID_PARAM'],
  ])('%j is refused', async (upload, errcode) => {
    const alice = await newUser()
    const answer = await alice.ask('POST', '/keys/upload', upload)
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })
})

describe('query', () => {
  test('a user without keys has an empty list, a server that cannot be asked is a failure', async () => {
    const wanted = { device_keys: { [bob.userId]: [], '@carol:elsewhere.test': [] } }
    const answer = await bob.ok('POST', '/keys/query', wanted)
    expect(answer.device_keys).toEqual({ [bob.userId]: {} })
    expect(Object.keys(answer.failures)).toEqual(['elsewhere.test'])
  })

  test.each([
    [{ device_keys: { '@bob:hearth.test': { PHONE: true } } }, 'M_BAD_JSON'],
    [{ device_keys: { bob: [] } }, 'M_BAD_JSON'],
    [{}, 'M_MISSING_PARAM'],
  ])('%j is refused', async (query, errcode) => {
    const answer = await bob.ask('POST', '/keys/query', query)
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })
})

describe('claim', () => {
  test('each key is given out once, then the fallback key again and again', async () => {
    const alice = await newUser()
    const fallback = key('f', { fallback: true })
    await alice.ok('POST', '/keys/upload', {
      one_time_keys: { 'signed_curve25519:a': key('a'), 'curve25519:z': 'z' },
      fallback_keys: { 'signed_curve25519:f': fallback },
    })
    const claim = async () =>
      (await bob.ok('POST', '/keys/claim', { one_time_keys: { [alice.userId]: { PHONE: 'signed_curve25519' } } }))
        .one_time_keys
    const of = (keys: object) => ({ [alice.userId]: { PHONE: keys } })
    expect(await claim()).toEqual(of({ 'signed_curve25519:a': key('a') }))
    expect(await claim()).toEqual(of({ 'signed_curve25519:f': fallback }))
    expect(await claim()).toEqual(of({ 'signed_curve25519:f': fallback }))
    expect((await alice.ok('POST', '/keys/upload', {})).one_time_key_counts).toEqual({ curve25519: 1 })
  })

  test('devices without a key are left out', async () => {
    const [alice, carol] = [await newUser(), await newUser()]
    await carol.ok('POST', '/keys/upload', { one_time_keys: { 'alg:a': 'k' } })
    const claim = { [alice.userId]: { PHONE: 'alg' }, [carol.userId]: { PHONE: 'alg', OTHER: 'alg' } }
    const answer = await bob.ok('POST', '/keys/claim', { one_time_keys: claim })
    expect(answer).toEqual({ failures: {}, one_time_keys: { [carol.userId]: { PHONE: { 'alg:a': 'k' } } } })
  })
})
