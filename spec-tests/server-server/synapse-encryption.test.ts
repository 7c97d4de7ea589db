import { EventType, type MatrixClient, type MatrixEvent, Preset } from 'matrix-js-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { roomPath, v3 } from '../harness/rooms.ts'
import { startSdk } from '../harness/sdk.ts'
import { type SideName, type SynapsePair, seesMember, startPair, WAYS } from '../harness/synapse-pair.ts'
import { verifyBySas } from '../harness/verify-sas.ts'

/**
 * A conversation that neither server can read: matrix-js-sdk with Element's cryptography, logged in at Hearth and at
 * Synapse.
 */
const PASSWORD = 'correct horse battery'
const PATIENCE_MS = 120_000
const MEGOLM = { type: EventType.RoomEncryption, content: { algorithm: 'm.megolm.v1.aes-sha2' } }

type Person = { user: TestUser; name: string; client: MatrixClient }
let pair: SynapsePair
const started: MatrixClient[] = []
const people = new Map<SideName, Person>()
const rooms = new Map<SideName, string>()

beforeAll(async () => {
  pair = await startPair()
  for (const side of ['Hearth', 'Synapse'] as const) {
    const name = uniqueName('crypto')
    const user = await registerUser(pair[side].url, name)
    const client = await start(user)
    await client.getCrypto()!.bootstrapCrossSigning({
      authUploadDeviceSigningKeys: async (upload) => {
        await upload(null)
      },
    })
    people.set(side, { user, name, client })
  }
}, PATIENCE_MS)
afterAll(async () => {
  for (const client of started) client.stopClient()
  await pair?.dispose()
})

async function start(user: TestUser): Promise<MatrixClient> {
  const client = await startSdk(user, {})
  started.push(client)
  return client
}

async function logIn(side: SideName, name: string): Promise<TestUser> {
  const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password: PASSWORD }
  return asUser(pair[side].url, (await ask(pair[side].url, { method: 'POST', path: `${v3}/login`, body })).body)
}

/** Returns the text of an event once the client has decrypted it. */
async function decrypted(client: MatrixClient, roomId: string, eventId: string): Promise<string> {
  const event = await pollUntil(`${client.getDeviceId()} decrypts ${eventId}`, () => {
    const found = client.getRoom(roomId)?.findEventById(eventId) as MatrixEvent | undefined
    return found?.getType() === EventType.RoomMessage && !found.isDecryptionFailure() ? found : undefined
  })
  return event.getContent().body
}

/** Sends a message, and waits until all others have read it. */
async function says(from: MatrixClient, roomId: string, text: string, ...readers: MatrixClient[]): Promise<void> {
  const { event_id: eventId } = await from.sendTextMessage(roomId, text)
  for (const reader of readers) expect(await decrypted(reader, roomId, eventId)).toBe(text)
}

/** https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption */
test.each(WAYS)(
  'who invites from %s and who comes from %s read each other, and the servers read nothing',
  async (here, there) => {
    const [inviting, coming] = [people.get(here)!, people.get(there)!]
    const { room_id: roomId } = await inviting.client.createRoom({
      preset: Preset.TrustedPrivateChat,
      invite: [coming.user.userId],
      initial_state: [MEGOLM],
    })
    rooms.set(here, roomId)
    await pollUntil('the invite arrives', () => coming.client.getRoom(roomId)?.getMyMembership() === 'invite')
    await coming.client.joinRoom(roomId)
    await pollUntil('the join arrives', () => {
      return inviting.client.getRoom(roomId)?.getMember(coming.user.userId)?.membership === 'join'
    })
    await says(inviting.client, roomId, 'Hello from the one who invites', coming.client)
    await says(coming.client, roomId, 'Hello from the one who comes', inviting.client)
    for (const { user } of [inviting, coming]) {
      const { chunk } = await user.get(roomPath(roomId, 'messages?dir=b&limit=50'))
      const kinds = chunk.map(({ type }: { type: string }) => type)
      expect(kinds.filter((type: string) => type === 'm.room.encrypted')).toHaveLength(2)
      expect(JSON.stringify(chunk)).not.toContain('Hello from')
    }
  },
  PATIENCE_MS,
)

/** https://spec.matrix.org/v1.19/client-server-api/#cross-signing */
test(
  'two people of the two servers verify each other, and see that each is who they were',
  async () => {
    const [alice, bob] = [people.get('Hearth')!, people.get('Synapse')!]
    const roomId = rooms.get('Hearth')!
    const isVerified = async (by: Person, of: Person) => {
      const status = await by.client.getCrypto()!.getUserVerificationStatus(of.user.userId)
      return status.isCrossSigningVerified()
    }
    expect([await isVerified(alice, bob), await isVerified(bob, alice)]).toEqual([false, false])
    await verifyBySas(() => alice.client.getCrypto()!.requestVerificationDM(bob.user.userId, roomId), bob.client)
    for (const [by, of] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      await pollUntil(`${by.user.userId} has verified ${of.user.userId}`, () => isVerified(by, of))
    }
  },
  PATIENCE_MS,
)

/** https://spec.matrix.org/v1.19/server-server-api/#device-management */
test.each(WAYS)(
  'a new device at %s reads what is written at %s from then on',
  async (here, there) => {
    const [owner, writer] = [people.get(here)!, people.get(there)!]
    const roomId = rooms.get(here)!
    const device = await start(await logIn(here, owner.name))
    await pollUntil('the writer knows of the device', async () => {
      const devices = await writer.client.getCrypto()!.getUserDeviceInfo([owner.user.userId])
      return devices.get(owner.user.userId)?.has(device.getDeviceId()!)
    })
    await says(writer.client, roomId, 'for old devices and new ones', owner.client, device)
    await says(device, roomId, 'from the new one', writer.client, owner.client)
    await device.logout(true)
    await pollUntil('the writer knows that the device is gone', async () => {
      const { device_keys } = await writer.user.post(`${v3}/keys/query`, { device_keys: { [owner.user.userId]: [] } })
      return !(device.getDeviceId()! in device_keys[owner.user.userId])
    })
  },
  PATIENCE_MS,
)

/** https://spec.matrix.org/v1.19/server-server-api/#definition-msigning_key_update */
test.each(WAYS)(
  'new cross-signing keys of a user of %s are told to users of %s',
  async (here, there) => {
    const [owner, viewer] = [people.get(here)!, people.get(there)!]
    const keys = async (user: TestUser) => {
      const answer = await user.post(`${v3}/keys/query`, { device_keys: { [owner.user.userId]: [] } })
      const { master_keys, self_signing_keys } = answer
      return [master_keys, self_signing_keys].map((all) => all[owner.user.userId]?.keys)
    }
    const before = await keys(viewer.user)
    expect(before).toEqual(await keys(owner.user))
    const { userId: user } = owner.user
    await owner.client.getCrypto()!.bootstrapCrossSigning({
      setupNewCrossSigning: true,
      authUploadDeviceSigningKeys: async (upload) => {
        await upload({ type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: PASSWORD })
      },
    })
    const after = await keys(owner.user)
    expect(after).not.toEqual(before)
    await pollUntil('the new keys are there', async () => {
      return JSON.stringify(await keys(viewer.user)) === JSON.stringify(after)
    })
  },
  PATIENCE_MS,
)

test.each(WAYS)(
  'devices that are new at %s while %s is down are found when it is back',
  async (here, there) => {
    const [owner, viewer] = [people.get(here)!, people.get(there)!]
    const roomId = rooms.get(here)!
    await pair[there].kill('SIGKILL')
    const devices = [await logIn(here, owner.name), await logIn(here, owner.name)]
    for (const device of devices) await start(device)
    await pair[there].restart()
    // A request of a server ends its back-off.
    await viewer.user.put(roomPath(roomId, `typing/${encodeURIComponent(viewer.user.userId)}`), {
      typing: true,
      timeout: 30_000,
    })
    await seesMember(viewer.user, roomId, { of: owner.user, membership: 'join' })
    await pollUntil('both devices are known', async () => {
      const { device_keys } = await viewer.user.post(`${v3}/keys/query`, { device_keys: { [owner.user.userId]: [] } })
      return devices.every(({ deviceId }) => deviceId in device_keys[owner.user.userId])
    })
  },
  PATIENCE_MS,
)
