import { EventType, type MatrixClient, type MatrixEvent, Preset } from 'matrix-js-sdk'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, type TestUser } from '../harness/client.ts'
import { startSdk } from '../harness/sdk.ts'

/** End-to-end encryption as matrix-js-sdk does it, with the cryptography of Element. */
const { url } = inject('homeserver')
const PASSWORD = 'correct horse battery'
const started: MatrixClient[] = []
let aliceUser: TestUser
let alice: MatrixClient
let bob: MatrixClient
let roomId: string
let recoveryKey: Uint8Array<ArrayBuffer>

/** The user types the recovery key whenever it is asked for. */
const callbacks: CryptoCallbacks = {
  getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0]!, recoveryKey],
}

async function start(user: TestUser): Promise<MatrixClient> {
  const client = await startSdk(user, callbacks)
  started.push(client)
  return client
}

beforeAll(async () => {
  aliceUser = await registerUser(url)
  const clients = await Promise.all([start(aliceUser), registerUser(url).then(start)])
  ;[alice, bob] = clients as [MatrixClient, MatrixClient]
})
afterAll(() => {
  for (const client of started) client.stopClient()
})

/** The text of an event once the client has decrypted it. */
async function decrypted(client: MatrixClient, eventId: string): Promise<string> {
  const event = await pollUntil(`${client.getDeviceId()} decrypts ${eventId}`, () => {
    const found = client.getRoom(roomId)?.findEventById(eventId) as MatrixEvent | undefined
    return found?.getType() === EventType.RoomMessage && !found.isDecryptionFailure() ? found : undefined
  })
  return event.getContent().body
}

test('the first set-up needs no password: cross-signing, secret storage and key backup', async () => {
  const crypto = alice.getCrypto()!
  const key = await crypto.createRecoveryKeyFromPassphrase()
  recoveryKey = key.privateKey
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (upload) => {
      await upload(null)
    },
  })
  await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewKeyBackup: true })
  expect(await crypto.isCrossSigningReady()).toBe(true)
  expect(await crypto.getActiveSessionBackupVersion()).not.toBeNull()
})

test('two people write to each other, and the server sees nothing of it', async () => {
  const created = await alice.createRoom({
    preset: Preset.PrivateChat,
    invite: [bob.getUserId()!],
    initial_state: [{ type: EventType.RoomEncryption, content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  })
  roomId = created.room_id
  await pollUntil('Bob is invited', () => bob.getRoom(roomId)?.getMyMembership() === 'invite')
  await bob.joinRoom(roomId)
  await pollUntil('Alice sees Bob', () => alice.getRoom(roomId)?.getMember(bob.getUserId()!)?.membership === 'join')
  const hello = await alice.sendTextMessage(roomId, 'Hello Bob')
  expect(await decrypted(bob, hello.event_id)).toBe('Hello Bob')
  const answer = await bob.sendTextMessage(roomId, 'Hello Alice')
  expect(await decrypted(alice, answer.event_id)).toBe('Hello Alice')
  const raw = await bob.fetchRoomEvent(roomId, hello.event_id)
  expect(raw.type).toBe(EventType.RoomMessageEncrypted)
  expect(JSON.stringify(raw)).not.toContain('Hello')
})

test('a new device reads the old messages from the backup, and others see that its owner vouches for it', async () => {
  const { event_id: old } = await alice.sendTextMessage(roomId, 'before the new device')
  await pollUntil('the keys are backed up', async () => {
    return (await aliceUser.get('/_matrix/client/v3/room_keys/version')).count >= 2
  })
  const laptop = await startNewDevice()
  const crypto = laptop.getCrypto()!
  await crypto.loadSessionBackupPrivateKeyFromSecretStorage()
  const restored = await crypto.restoreKeyBackup()
  expect(restored.imported).toBe(restored.total)
  expect(await decrypted(laptop, old)).toBe('before the new device')
  await pollUntil("Bob sees Alice's new device signed", async () => {
    const status = await bob.getCrypto()!.getDeviceVerificationStatus(aliceUser.userId, laptop.getDeviceId()!)
    return status?.signedByOwner
  })
  const { event_id: fresh } = await bob.sendTextMessage(roomId, 'for all devices')
  expect(await decrypted(laptop, fresh)).toBe('for all devices')
  expect(await decrypted(alice, fresh)).toBe('for all devices')
})

/** Alice logs in on another device, which gets her cross-signing keys from secret storage. */
async function startNewDevice(): Promise<MatrixClient> {
  const identifier = { type: 'm.id.user', user: aliceUser.userId }
  const body = { type: 'm.login.password', identifier, password: PASSWORD }
  const client = await start(
    asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body),
  )
  const crypto = client.getCrypto()!
  await pollUntil('the device knows whose it is', () => crypto.userHasCrossSigningKeys(aliceUser.userId, true))
  await crypto.bootstrapCrossSigning({})
  return client
}

test('a user without a session gets the keys by a dehydrated device', async () => {
  const crypto = alice.getCrypto()!
  expect(await crypto.isDehydrationSupported()).toBe(true)
  await crypto.startDehydration()
  await pollUntil('the dehydrated device is there', async () => {
    const devices = await bob.getCrypto()!.getUserDeviceInfo([aliceUser.userId], true)
    return [...devices.get(aliceUser.userId)!.values()].some((device) => device.dehydrated)
  })
  for (const client of started) if (client.getUserId() === aliceUser.userId) await client.logout(true)
  const { event_id: missed } = await bob.sendTextMessage(roomId, 'while you were away')
  const phone = await startNewDevice()
  await phone.getCrypto()!.startDehydration()
  expect(await decrypted(phone, missed)).toBe('while you were away')
})
