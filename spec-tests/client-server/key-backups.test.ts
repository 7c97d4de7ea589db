import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups */
const { url } = inject('homeserver')
const BACKUP = '/_matrix/client/v3/room_keys'
const ROOM = encodeURIComponent('!room:example.org')
let alice: TestUser
let version: string
beforeAll(async () => {
  alice = await registerUser(url)
  version = await createBackup()
})

async function createBackup(): Promise<string> {
  const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'key' } }
  return (await alice.post(`${BACKUP}/version`, backup)).version
}

function sessionKey(is_verified: boolean, first_message_index: number, forwarded_count: number) {
  return { is_verified, first_message_index, forwarded_count, session_data: { ciphertext: 'c' } }
}

test('of several keys for a session the best stays, in whatever order they come', async () => {
  const path = `${BACKUP}/keys/${ROOM}/session?version=${version}`
  const best = sessionKey(true, 3, 1)
  const keys = [sessionKey(false, 0, 0), sessionKey(true, 4, 0), best, sessionKey(true, 3, 2), sessionKey(false, 9, 9)]
  await Promise.all([...keys, ...keys.toReversed()].map((key) => alice.put(path, key)))
  expect(await alice.get(path)).toEqual(best)
  expect((await alice.get(`${BACKUP}/version`)).count).toBe(1)
})

test('a write to an old version is refused with the current version', async () => {
  const old = version
  version = await createBackup()
  const answer = await alice.ask('PUT', `${BACKUP}/keys/${ROOM}/session?version=${old}`, sessionKey(true, 0, 0))
  expect(answer.status).toBe(403)
  expect(answer.body).toMatchObject({ errcode: 'M_WRONG_ROOM_KEYS_VERSION', current_version: version })
})

test('a deleted backup is gone with its keys', async () => {
  const path = `${BACKUP}/keys/${ROOM}/other?version=${version}`
  await alice.put(path, sessionKey(true, 0, 0))
  expect((await alice.ask('DELETE', `${BACKUP}/version/${version}`)).status).toBe(200)
  expect((await alice.ask('GET', path)).body.errcode).toBe('M_NOT_FOUND')
  expect((await alice.ask('GET', `${BACKUP}/version/${version}`)).body.errcode).toBe('M_NOT_FOUND')
})
