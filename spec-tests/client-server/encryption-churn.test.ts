import { EventType, type IEvent, type MatrixClient, Preset } from 'matrix-js-sdk'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, type TestUser } from '../harness/client.ts'
import { backedUpIndexes, describeMissingKeys, firstIndexes } from '../harness/missing-keys.ts'
import { startSdk } from '../harness/sdk.ts'

/**
 * An encrypted conversation while devices are added and removed: the remaining devices can read everything, live or by
 * the key backup.
 */
const { url } = inject('homeserver')
const PASSWORD = 'correct horse battery'
const MESSAGES = 500
/** A device is added or removed after this number of messages. */
const MESSAGES_PER_CHANGE = 50
const SENDING_AT_ONCE = 4

type Person = { user: TestUser; recoveryKey: Uint8Array<ArrayBuffer> | undefined; devices: MatrixClient[] }
let people: Person[]
let roomId: string
/** Pending sends of devices. */
const sending = new Map<MatrixClient, Promise<unknown>[]>()
beforeAll(async () => {
  people = await Promise.all([newPerson(), newPerson()])
})
afterAll(() => {
  for (const device of devices()) device.stopClient()
})

const devices = () => people.flatMap((person) => person.devices)

function callbacksOf(person: Person): CryptoCallbacks {
  return { getSecretStorageKey: async ({ keys }) => [Object.keys(keys)[0]!, person.recoveryKey!] }
}

async function newPerson(): Promise<Person> {
  const person: Person = { user: await registerUser(url), recoveryKey: undefined, devices: [] }
  const device = await startSdk(person.user, callbacksOf(person))
  person.devices.push(device)
  const crypto = device.getCrypto()!
  const key = await crypto.createRecoveryKeyFromPassphrase()
  person.recoveryKey = key.privateKey
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (upload) => {
      await upload(null)
    },
  })
  await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewKeyBackup: true })
  return person
}

/** Logs in on another device, which gets its user's keys from secret storage. */
async function addDevice(person: Person): Promise<void> {
  const identifier = { type: 'm.id.user', user: person.user.userId }
  const body = { type: 'm.login.password', identifier, password: PASSWORD }
  const { body: login } = await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })
  const device = await startSdk(asUser(url, login), callbacksOf(person))
  const crypto = device.getCrypto()!
  await pollUntil('it knows whose it is', () => crypto.userHasCrossSigningKeys(person.user.userId, true))
  await crypto.bootstrapCrossSigning({})
  await crypto.loadSessionBackupPrivateKeyFromSecretStorage()
  await crypto.checkKeyBackupAndEnable()
  person.devices.push(device)
}

/**
 * Removes the oldest device once it has sent everything and backed up all its keys, as clients ensure. A newer device
 * may have backed up the same session before, but only from a later index on.
 */
async function removeDevice(person: Person): Promise<void> {
  const device = person.devices.shift()!
  await Promise.all(sending.get(device) ?? [])
  const known = [...(await firstIndexes(device))]
  await pollUntil(
    'its keys are backed up',
    async () => {
      const backedUp = await backedUpIndexes(device, roomId)
      return known.every(([sessionId, first]) => (backedUp.get(sessionId) ?? Number.POSITIVE_INFINITY) <= first)
    },
    undefined,
    200,
  )
  await device.logout(true)
}

test('of 500 messages none stays undecryptable on any device', { timeout: 280_000 }, async () => {
  roomId = await createRoom()
  const sent: string[] = []
  for (let round = 0; sent.length < MESSAGES; round++) {
    const writing = write(sent, MESSAGES_PER_CHANGE)
    const person = people[round % 2]!
    await Promise.all([writing, person.devices.length < 3 ? addDevice(person) : removeDevice(person)])
  }
  expect(new Set(sent).size).toBe(MESSAGES)
  for (const device of devices()) await readsAll(device, sent)
})

async function createRoom(): Promise<string> {
  const [alice, bob] = people as [Person, Person]
  const created = await alice.devices[0]!.createRoom({
    preset: Preset.TrustedPrivateChat,
    invite: [bob.user.userId],
    initial_state: [
      {
        type: EventType.RoomEncryption,
        // Keys are rotated so often that every device change coincides with a rotation.
        content: { algorithm: 'm.megolm.v1.aes-sha2', rotation_period_msgs: 20 },
      },
    ],
  })
  await bob.user.post(`/_matrix/client/v3/rooms/${encodeURIComponent(created.room_id)}/join`)
  for (const device of devices())
    await pollUntil('both are in', () => (device.getRoom(created.room_id)?.getJoinedMemberCount() ?? 0) === 2)
  return created.room_id
}

/** Sends messages from all devices, some concurrently. */
async function write(sent: string[], count: number): Promise<void> {
  for (let done = 0; done < count; done += SENDING_AT_ONCE) {
    const some = Math.min(SENDING_AT_ONCE, count - done)
    const senders = Array.from({ length: some }, (_, place) => devices()[(done + place) % devices().length]!)
    const messages = senders.map((device, place) => send(device, `message ${sent.length + place}`))
    const answers = await Promise.all(messages)
    sent.push(...answers.map((answer) => answer.event_id))
  }
}

function send(device: MatrixClient, text: string): Promise<{ event_id: string }> {
  const message = device.sendTextMessage(roomId, text)
  sending.set(device, [...(sending.get(device) ?? []), message])
  return message
}

/** A device reads messages from before senders knew it by the backup, which it polls until all keys are there. */
async function readsAll(device: MatrixClient, sent: readonly string[]): Promise<void> {
  const raw = new Map((await history(device)).map((event) => [event.event_id, event]))
  const unread = new Map(sent.map((eventId) => [eventId, '']))
  await pollUntil(
    `${device.getUserId()} reads all on ${device.getDeviceId()}`,
    async () => {
      for (const eventId of unread.keys()) {
        const event = device.getEventMapper()({ ...raw.get(eventId)! })
        await device.decryptEventIfNeeded(event)
        if (event.getType() === EventType.RoomMessage && !event.isDecryptionFailure()) unread.delete(eventId)
        else unread.set(eventId, String(event.decryptionFailureReason))
      }
      if (unread.size > 0) await device.getCrypto()!.restoreKeyBackup()
      return unread.size === 0
    },
    60_000,
  ).catch(async (error) => {
    const events = sent.map((eventId) => raw.get(eventId)!)
    const missing = await describeMissingKeys(device, { sent: events, reasons: unread, others: devices() })
    const count = `${unread.size} of ${sent.length} cannot be decrypted`
    throw new Error(`${count} by ${device.getUserId()} ${device.getDeviceId()}:\n${missing}`, { cause: error })
  })
}

/** Returns all events of the room on the server. */
async function history(device: MatrixClient): Promise<IEvent[]> {
  const events: IEvent[] = []
  let from: string | undefined
  do {
    const page: { chunk: unknown[]; end?: string } = await device.createMessagesRequest(
      roomId,
      from ?? null,
      100,
      'b' as never,
    )
    events.push(...(page.chunk as IEvent[]))
    from = page.end
  } while (from !== undefined)
  return events
}
