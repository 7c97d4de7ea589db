import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { deviceKeysOf, logIn, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { startSynapse } from '../harness/synapse.ts'

const CLIENT = '/_matrix/client/v3'

let federation: Awaited<ReturnType<typeof startFederation>>
const servers = new Map<string, { url: string; serverName: string }>()

beforeAll(async () => {
  federation = await startFederation()
  const [hearth, other, synapse] = await Promise.all([
    federation.hearth({ config: { federation: { tell_device_names: true } } }),
    federation.hearth({ config: { federation: { tell_device_names: true } } }),
    startSynapse(federation, { rc_presence: { per_user: { per_second: 9999, burst_count: 9999 } } }),
  ])
  servers.set('Hearth', hearth).set('another Hearth', other).set('Synapse', synapse)
})
afterAll(() => federation.dispose())

const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const server = (user: TestUser) => user.userId.slice(user.userId.indexOf(':') + 1)

/** Syncs from now on until a result is found. */
async function watch(user: TestUser) {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  type Sync = any
  let since: string = (await user.get(`${CLIENT}/sync?timeout=0`)).next_batch
  return {
    until: <Result>(what: string, find: (answer: Sync) => Result | false | undefined): Promise<Result> =>
      pollUntil(what, async () => {
        const answer = await user.get(`${CLIENT}/sync?timeout=1000&since=${encodeURIComponent(since)}`)
        since = answer.next_batch
        return find(answer)
      }),
    token: () => since,
  }
}

type Ephemeral = { type: string; content: Record<string, unknown> }
const ephemeral = (
  answer: { rooms?: { join?: Record<string, { ephemeral?: { events: Ephemeral[] } }> } },
  id: string,
) => answer.rooms?.join?.[id]?.ephemeral?.events ?? []

async function sharedRoom(owner: TestUser, guest: TestUser): Promise<string> {
  const { room_id: roomId } = await owner.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  await guest.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${encodeURIComponent(server(owner))}`, {})
  await pollUntil('the owner sees the guest', async () => {
    const { joined } = await owner.get(room(roomId, 'joined_members'))
    return guest.userId in joined
  })
  return roomId
}

describe.each([
  ['Hearth', 'another Hearth'],
  ['Hearth', 'Synapse'],
  ['Synapse', 'Hearth'],
])('from %s to %s', (from, to) => {
  let sender: TestUser
  let senderName: string
  let watcher: TestUser
  let roomId: string
  beforeAll(async () => {
    senderName = uniqueName()
    sender = await registerUser(servers.get(from)!.url, senderName)
    watcher = await registerUser(servers.get(to)!.url)
    roomId = await sharedRoom(sender, watcher)
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#typing-notifications */
  test('typing is seen, and its end', async () => {
    const seen = await watch(watcher)
    const typing = (answer: object) => ephemeral(answer, roomId).find((event) => event.type === 'm.typing')?.content
    const path = room(roomId, `typing/${encodeURIComponent(sender.userId)}`)
    await sender.put(path, { typing: true, timeout: 30_000 })
    expect(await seen.until('typing is seen', typing)).toEqual({ user_ids: [sender.userId] })
    await sender.put(path, { typing: false })
    expect(await seen.until('its end is seen', typing)).toEqual({ user_ids: [] })
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#receipts */
  test('receipts are seen, with their threads', async () => {
    const seen = await watch(watcher)
    const eventId = await sendText(watcher, roomId, 'read this')
    await pollUntil('the event arrives', () => sender.get(room(roomId, `event/${encodeURIComponent(eventId)}`)))
    const receipt = (answer: object) =>
      ephemeral(answer, roomId).find((event) => event.type === 'm.receipt' && event.content[eventId])?.content
    await sender.post(room(roomId, `receipt/m.read/${encodeURIComponent(eventId)}`), { thread_id: 'main' })
    const told = await seen.until('the receipt is seen', receipt)
    expect(told).toEqual({
      [eventId]: { 'm.read': { [sender.userId]: { ts: expect.any(Number), thread_id: 'main' } } },
    })
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#presence */
  test('presence is seen', async () => {
    const seen = await watch(watcher)
    for (const [presence, status_msg] of [
      ['online', 'working'],
      ['unavailable', 'lunch'],
    ] as const) {
      await sender.put(`${CLIENT}/presence/${encodeURIComponent(sender.userId)}/status`, { presence, status_msg })
      type Presence = { sender: string; content: { presence: string; status_msg?: string } }
      await seen.until(`${presence} is seen`, (answer) =>
        answer.presence?.events.some(
          (event: Presence) =>
            event.sender === sender.userId &&
            event.content.presence === presence &&
            event.content.status_msg === status_msg,
        ),
      )
    }
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging */
  test('messages to devices arrive, in order', async () => {
    const seen = await watch(watcher)
    for (const number of [1, 2, 3]) {
      const device = number === 2 ? '*' : watcher.deviceId
      const messages = { [watcher.userId]: { [device]: { number } } }
      await sender.put(`${CLIENT}/sendToDevice/m.test/${uniqueName()}`, { messages })
    }
    const got: number[] = []
    await seen.until('all messages arrive', (answer) => {
      for (const { content } of answer.to_device?.events ?? []) got.push(content.number)
      return got.length >= 3
    })
    expect(got).toEqual([1, 2, 3])
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#device-management */
  test('new, renamed and removed devices are noticed', async () => {
    const seen = await watch(watcher)
    const noticed = (what: string) =>
      seen.until(what, (answer) => answer.device_lists?.changed?.includes(sender.userId) ?? false)
    const names = async (): Promise<Record<string, string | undefined>> => {
      const body = { device_keys: { [sender.userId]: [] } }
      const answer = await watcher.post(`${CLIENT}/keys/query`, body)
      const devices = Object.entries(answer.device_keys[sender.userId] ?? {}) as [
        string,
        { unsigned?: { device_display_name?: string } },
      ][]
      return Object.fromEntries(devices.map(([id, keys]) => [id, keys.unsigned?.device_display_name]))
    }
    const second = await logIn(sender.url, senderName, 'A second device')
    await second.post(`${CLIENT}/keys/upload`, { device_keys: deviceKeysOf(second) })
    await noticed('the new device is noticed')
    await pollUntil('its keys are there', async () => (await names())[second.deviceId] === 'A second device')
    await second.put(`${CLIENT}/devices/${second.deviceId}`, { display_name: 'Renamed' })
    await noticed('its new name is noticed')
    await pollUntil('its name is there', async () => (await names())[second.deviceId] === 'Renamed')
    await second.post(`${CLIENT}/logout`)
    await noticed('its end is noticed')
    await pollUntil('it is gone', async () => !(second.deviceId in (await names())))
  })
})
