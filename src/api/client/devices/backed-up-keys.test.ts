import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let version: string
let made = 0
beforeAll(async () => {
  api = await startClientApi({ endpoints: encryptionEndpoints })
})
beforeEach(async () => {
  alice = await api.client(`user${++made}`)
  version = await createBackup()
})
afterAll(() => api.close())

const ALGORITHM = 'm.megolm_backup.v1.curve25519-aes-sha2'
const ROOM = encodeURIComponent('!room:x')

async function createBackup(authData: object = { public_key: 'p' }): Promise<string> {
  return (await alice.ok('POST', '/room_keys/version', { algorithm: ALGORITHM, auth_data: authData })).version
}

function sessionKey(more: object = {}) {
  return { first_message_index: 10, forwarded_count: 5, is_verified: false, session_data: { ciphertext: 'c' }, ...more }
}

function put(sessionId: string, key: object, room = ROOM) {
  return alice.ok('PUT', `/room_keys/keys/${room}/${encodeURIComponent(sessionId)}?version=${version}`, key)
}

async function fault(method: string, path: string, body?: unknown) {
  const answer = await alice.ask(method, path, body)
  return [answer.status, answer.body.errcode]
}

describe('versions', () => {
  test('the newest is current; one that is deleted is not, and its number is not used again', async () => {
    expect(version).toBe('1')
    const second = await createBackup({ public_key: 'q' })
    expect(await alice.ok('GET', '/room_keys/version')).toEqual({
      algorithm: ALGORITHM,
      auth_data: { public_key: 'q' },
      count: 0,
      etag: '0',
      version: second,
    })
    expect((await alice.ok('GET', `/room_keys/version/${version}`)).auth_data).toEqual({ public_key: 'p' })
    await alice.ok('DELETE', `/room_keys/version/${second}`)
    await alice.ok('DELETE', `/room_keys/version/${second}`)
    expect((await alice.ok('GET', '/room_keys/version')).version).toBe(version)
    expect(await fault('GET', `/room_keys/version/${second}`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await createBackup()).toBe('3')
  })

  test('only auth_data can change', async () => {
    const path = `/room_keys/version/${version}`
    await alice.ok('PUT', path, { algorithm: ALGORITHM, auth_data: { public_key: 'new' }, version })
    expect((await alice.ok('GET', path)).auth_data).toEqual({ public_key: 'new' })
    expect(await fault('PUT', path, { algorithm: 'other', auth_data: {} })).toEqual([400, 'M_INVALID_PARAM'])
    const otherVersion = { algorithm: ALGORITHM, auth_data: {}, version: '9' }
    expect(await fault('PUT', path, otherVersion)).toEqual([400, 'M_INVALID_PARAM'])
    expect(await fault('PUT', path, { algorithm: ALGORITHM })).toEqual([400, 'M_MISSING_PARAM'])
  })

  test('versions that never were are not found', async () => {
    for (const unknown of ['99', 'abc', '0', '-1', '1e3']) {
      expect(await fault('GET', `/room_keys/version/${unknown}`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await fault('DELETE', `/room_keys/version/${unknown}`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await fault('GET', `/room_keys/keys?version=${unknown}`)).toEqual([404, 'M_NOT_FOUND'])
    }
    const newcomer = await api.client(`user${++made}`)
    expect((await newcomer.ask('GET', '/room_keys/version')).status).toBe(404)
  })

  test('versions made at the same time have numbers of their own', async () => {
    const versions = await Promise.all(Array.from({ length: 8 }, () => createBackup()))
    expect(versions.map(Number).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('keys', () => {
  test('come back one by one, by room, and all together', async () => {
    const rooms = {
      '!room:x': { sessions: { 'a/b+c': sessionKey(), d: sessionKey({ is_verified: true }) } },
      '!other:x': { sessions: { e: sessionKey() } },
    }
    expect(await alice.ok('PUT', `/room_keys/keys?version=${version}`, { rooms })).toEqual({ count: 3, etag: '1' })
    expect(await alice.ok('GET', `/room_keys/keys?version=${version}`)).toEqual({ rooms })
    expect(await alice.ok('GET', `/room_keys/keys/${ROOM}?version=${version}`)).toEqual(rooms['!room:x'])
    const one = `/room_keys/keys/${ROOM}/${encodeURIComponent('a/b+c')}?version=${version}`
    expect(await alice.ok('GET', one)).toEqual(sessionKey())
    expect(await alice.ok('GET', `/room_keys/keys/!empty:x?version=${version}`)).toEqual({ sessions: {} })
    expect(await fault('GET', `/room_keys/keys/${ROOM}/none?version=${version}`)).toEqual([404, 'M_NOT_FOUND'])
  })

  test.each([
    [{ is_verified: false }, { is_verified: true, first_message_index: 99, forwarded_count: 99 }, true],
    [{ is_verified: true }, { is_verified: false, first_message_index: 0, forwarded_count: 0 }, false],
    [{}, { first_message_index: 9, forwarded_count: 99 }, true],
    [{}, { first_message_index: 11, forwarded_count: 0 }, false],
    [{}, { forwarded_count: 4 }, true],
    [{}, { forwarded_count: 6 }, false],
    [{}, { session_data: { ciphertext: 'as good, but later' } }, false],
  ])('of %j and then %j the better stays', async (first, second, replaces) => {
    await put('s', sessionKey(first))
    const { etag } = await put('s', sessionKey(second))
    const stored = await alice.ok('GET', `/room_keys/keys/${ROOM}/s?version=${version}`)
    expect(stored).toEqual(sessionKey(replaces ? second : first))
    expect(etag).toBe(replaces ? '2' : '1')
  })

  test('deleting tells what is left, and moves the etag only if something went', async () => {
    await put('a', sessionKey())
    await put('b', sessionKey())
    await put('c', sessionKey(), '!other:x')
    const query = `?version=${version}`
    expect(await alice.ok('DELETE', `/room_keys/keys/${ROOM}/a${query}`)).toEqual({ count: 2, etag: '4' })
    expect(await alice.ok('DELETE', `/room_keys/keys/${ROOM}/a${query}`)).toEqual({ count: 2, etag: '4' })
    expect(await alice.ok('DELETE', `/room_keys/keys/${ROOM}${query}`)).toEqual({ count: 1, etag: '5' })
    expect(await alice.ok('DELETE', `/room_keys/keys${query}`)).toEqual({ count: 0, etag: '6' })
  })

  test('only the current backup takes keys', async () => {
    const old = version
    version = await createBackup()
    const path = `/room_keys/keys/${ROOM}/s?version=${old}`
    const answer = await alice.ask('PUT', path, sessionKey())
    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({ errcode: 'M_WRONG_ROOM_KEYS_VERSION', current_version: version })
    await alice.ok('DELETE', `/room_keys/version/${old}`)
    expect(await fault('PUT', path, sessionKey())).toEqual([403, 'M_WRONG_ROOM_KEYS_VERSION'])
    await alice.ok('DELETE', `/room_keys/version/${version}`)
    expect(await fault('PUT', path, sessionKey())).toEqual([404, 'M_NOT_FOUND'])
  })

  test('keys that arrive at the same time are all there, and each counts', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, place) => put(`s${place}`, sessionKey())))
    expect(await alice.ok('GET', '/room_keys/version')).toMatchObject({ count: 10, etag: '10' })
  })

  test.each([
    [sessionKey({ first_message_index: -1 }), 'M_BAD_JSON'],
    [sessionKey({ is_verified: 'yes' }), 'M_BAD_JSON'],
    [sessionKey({ session_data: undefined }), 'M_MISSING_PARAM'],
  ])('%j is refused', async (key, errcode) => {
    expect(await fault('PUT', `/room_keys/keys/${ROOM}/s?version=${version}`, key)).toEqual([400, errcode])
    expect(await fault('PUT', `/room_keys/keys/${ROOM}/s`, sessionKey())).toEqual([400, 'M_MISSING_PARAM'])
  })

  test('others do not see them', async () => {
    await put('s', sessionKey())
    const bob = await api.client(`user${++made}`)
    expect((await bob.ask('GET', `/room_keys/keys?version=${version}`)).status).toBe(404)
  })
})
