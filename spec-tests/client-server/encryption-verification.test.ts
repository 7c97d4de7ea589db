import { EventType, type MatrixClient, Preset } from 'matrix-js-sdk'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, type TestUser } from '../harness/client.ts'
import { startSdk } from '../harness/sdk.ts'
import { verifyBySas } from '../harness/verify-sas.ts'

/**
 * Two users with two devices each verify each other, lose that verification, and repeat it: by matrix-js-sdk, with
 * Element's cryptography.
 */
const { url } = inject('homeserver')
const PASSWORD = 'correct horse battery'
const started: MatrixClient[] = []
let alice: Person
let bob: Person
let roomId: string

/** A user with two devices and a recovery key. */
type Person = {
  userId: string
  phone: MatrixClient
  laptop: MatrixClient
  recoveryKey: Uint8Array<ArrayBuffer> | undefined
  callbacks: CryptoCallbacks
}

beforeAll(async () => {
  ;[alice, bob] = (await Promise.all([newPerson(), newPerson()])) as [Person, Person]
})
afterAll(() => {
  for (const client of started) client.stopClient()
})

async function newPerson(): Promise<Person> {
  const user = await registerUser(url)
  const person = { userId: user.userId, recoveryKey: undefined } as Person
  person.callbacks = {
    getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0]!, person.recoveryKey!],
  }
  person.phone = await start(user, person.callbacks)
  const identifier = { type: 'm.id.user', user: user.userId }
  const body = { type: 'm.login.password', identifier, password: PASSWORD }
  const { body: login } = await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })
  person.laptop = await start(asUser(url, login), person.callbacks)
  return person
}

async function start(user: TestUser, callbacks: CryptoCallbacks): Promise<MatrixClient> {
  const client = await startSdk(user, callbacks)
  started.push(client)
  return client
}

const devices = () => [alice.phone, alice.laptop, bob.phone, bob.laptop]

/** Returns whether a device has verified a user. */
async function trusts(device: MatrixClient, userId: string): Promise<boolean> {
  return (await device.getCrypto()!.getUserVerificationStatus(userId)).isCrossSigningVerified()
}

/** Returns whether a device is cross-signed by its owner, from the viewpoint of another device. */
async function isVouchedFor(viewer: MatrixClient, device: MatrixClient): Promise<boolean> {
  const status = await viewer.getCrypto()!.getDeviceVerificationStatus(device.getUserId()!, device.getDeviceId()!)
  return status?.signedByOwner ?? false
}

async function readsEverywhere(sender: MatrixClient, text: string): Promise<void> {
  const { event_id } = await sender.sendTextMessage(roomId, text)
  await Promise.all(
    devices().map((device) =>
      pollUntil(`${device.getDeviceId()} reads ${text}`, () => {
        return device.getRoom(roomId)?.findEventById(event_id)?.getContent().body === text
      }),
    ),
  )
}

test('each user sets up cross-signing on one device, and verifies the other by comparing numbers', async () => {
  for (const person of [alice, bob]) {
    const crypto = person.phone.getCrypto()!
    const key = await crypto.createRecoveryKeyFromPassphrase()
    person.recoveryKey = key.privateKey
    await crypto.bootstrapCrossSigning({
      authUploadDeviceSigningKeys: async (upload) => {
        await upload(null)
      },
    })
    await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewKeyBackup: true })
    await pollUntil('the laptop knows the identity', () =>
      person.laptop.getCrypto()!.userHasCrossSigningKeys(person.userId, true),
    )
    expect(await isVouchedFor(person.phone, person.laptop)).toBe(false)
    await verifyBySas(() => person.laptop.getCrypto()!.requestOwnUserVerification(), person.phone)
    await pollUntil('the laptop has got the private keys', () => person.laptop.getCrypto()!.isCrossSigningReady())
    await pollUntil('the laptop is vouched for', () => isVouchedFor(person.phone, person.laptop))
    await pollUntil('the laptop has got the key of the backup', async () => {
      return (await person.laptop.getCrypto()!.getActiveSessionBackupVersion()) !== null
    })
  }
})

test('they verify each other in their room; the other devices learn of it, and all read all', async () => {
  const created = await alice.phone.createRoom({
    preset: Preset.TrustedPrivateChat,
    is_direct: true,
    invite: [bob.userId],
    initial_state: [{ type: EventType.RoomEncryption, content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  })
  roomId = created.room_id
  await pollUntil('Bob is invited', () => bob.phone.getRoom(roomId)?.getMyMembership() === 'invite')
  await bob.phone.joinRoom(roomId)
  for (const device of devices())
    await pollUntil('all see both', () => (device.getRoom(roomId)?.getJoinedMemberCount() ?? 0) === 2)
  await verifyBySas(() => alice.phone.getCrypto()!.requestVerificationDM(bob.userId, roomId), bob.phone)
  for (const device of [alice.phone, alice.laptop]) {
    await pollUntil('Bob is trusted', async () => {
      await device.getCrypto()!.getUserDeviceInfo([bob.userId], true)
      return trusts(device, bob.userId)
    })
  }
  for (const device of [bob.phone, bob.laptop]) {
    await pollUntil('Alice is trusted', async () => {
      await device.getCrypto()!.getUserDeviceInfo([alice.userId], true)
      return trusts(device, alice.userId)
    })
  }
  for (const viewer of [bob.phone, bob.laptop])
    for (const device of [alice.phone, alice.laptop]) expect(await isVouchedFor(viewer, device)).toBe(true)
  for (const sender of devices()) await readsEverywhere(sender, `from ${sender.getDeviceId()}`)
})

test('a user who lost the keys makes new ones with the password; others see that, and verify again', async () => {
  const crypto = alice.phone.getCrypto()!
  const old = await crypto.getCrossSigningKeyId()
  const refused = await crypto
    .bootstrapCrossSigning({
      setupNewCrossSigning: true,
      authUploadDeviceSigningKeys: async (upload) => {
        await upload(null)
      },
    })
    .then(() => undefined)
    .catch((error) => error)
  expect(refused?.httpStatus).toBe(401)
  const key = await crypto.createRecoveryKeyFromPassphrase()
  alice.recoveryKey = key.privateKey
  await crypto.bootstrapCrossSigning({
    setupNewCrossSigning: true,
    authUploadDeviceSigningKeys: async (upload) => {
      const identifier = { type: 'm.id.user', user: alice.userId }
      const { session } = refused.data
      await upload({ type: 'm.login.password', identifier, password: PASSWORD, session })
    },
  })
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: async () => key,
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
  })
  expect(await crypto.getCrossSigningKeyId()).not.toBe(old)
  for (const device of [bob.phone, bob.laptop]) {
    await pollUntil('Bob sees that Alice is another now', async () => {
      const status = await device.getCrypto()!.getUserVerificationStatus(alice.userId)
      return !status.isCrossSigningVerified() && status.wasCrossSigningVerified()
    })
  }
  await pollUntil('the laptop is not vouched for any more', async () => {
    await alice.phone.getCrypto()!.getUserDeviceInfo([alice.userId], true)
    return !(await isVouchedFor(alice.phone, alice.laptop))
  })
  await pollUntil('the laptop knows that its keys are void', async () => {
    await alice.laptop.getCrypto()!.getUserDeviceInfo([alice.userId], true)
    return !(await alice.laptop.getCrypto()!.isCrossSigningReady())
  })
  await verifyBySas(() => alice.laptop.getCrypto()!.requestOwnUserVerification(), alice.phone)
  await pollUntil('the laptop is vouched for', () => isVouchedFor(bob.phone, alice.laptop))
  // Not in the room: there the laptops, which only observed the first verification, would see a second concurrent one,
  // and cancel both.
  const bobsPhone = bob.phone.getDeviceId()!
  await verifyBySas(() => alice.phone.getCrypto()!.requestDeviceVerification(bob.userId, bobsPhone), bob.phone)
  await pollUntil('Alice is trusted', () => trusts(bob.phone, alice.userId))
  for (const sender of devices()) await readsEverywhere(sender, `again from ${sender.getDeviceId()}`)
})
