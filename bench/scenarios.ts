import sharp from 'sharp'
import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { inParallel, measure, percentile, type Target } from './measure.ts'

/** One line of the table. */
export type Figure = { name: string; value: number; unit: string }

/** Number of alternating parts in comparisons. */
const ROUNDS = 10

export const roomPath = (roomId: string) => `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`

export async function createRoom(user: TestUser): Promise<string> {
  return (await user.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })).room_id
}

/** Sends events from 32 concurrent clients into some rooms. */
export async function sends(target: Target, rooms: number, events: number): Promise<Figure[]> {
  const users = await Promise.all(Array.from({ length: rooms }, () => registerUser(target.url)))
  const roomIds = await Promise.all(users.map(createRoom))
  const send = (number: number) => sendText(users[number % rooms]!, roomIds[number % rooms]!, `message ${number}`)
  await inParallel(200, 32, send)
  const { wall, cpu } = await measure(target, () => inParallel(events, 32, send))
  const where = rooms === 1 ? 'one room' : `${rooms} rooms`
  return [
    { name: `CPU per sent event, ${where}`, value: cpu / events, unit: 'ms' },
    { name: `events per second, ${where}`, value: (events / wall) * 1000, unit: '1/s' },
  ]
}

/** Sends state events from 16 concurrent clients, each into a room of its own, with 25 keys per room. */
export async function states(target: Target, events: number): Promise<Figure[]> {
  const rooms = 16
  const users = await Promise.all(Array.from({ length: rooms }, () => registerUser(target.url)))
  const roomIds = await Promise.all(users.map(createRoom))
  const send = (number: number) => {
    const path = `${roomPath(roomIds[number % rooms]!)}/state/test.state/${number % (25 * rooms)}`
    return users[number % rooms]!.put(path, { value: number })
  }
  await inParallel(25 * rooms, rooms, send)
  const { cpu } = await measure(target, () => inParallel(events, rooms, send))
  return [{ name: 'CPU per state event', value: cpu / events, unit: 'ms' }]
}

/** A client that polls /sync in one room. */
type Poller = {
  /** Polls until a response has the message; returns when that arrived. */
  hear(text: string): Promise<number>
  /** Number of responses without the message that was waited for, such as presence. */
  others(): number
}

async function startPoller(user: TestUser, roomId: string): Promise<Poller> {
  const path = '/_matrix/client/v3/sync'
  let { next_batch: since } = await user.get(`${path}?timeout=0`)
  let others = 0
  return {
    others: () => others,
    async hear(text) {
      for (;;) {
        const { next_batch, rooms } = await user.get(`${path}?timeout=30000&since=${since}`)
        const at = performance.now()
        since = next_batch
        const events: { content: { body?: string } }[] = rooms?.join?.[roomId]?.timeline.events ?? []
        if (events.some(({ content }) => content.body === text)) return at
        others++
      }
    },
  }
}

/** Measures from the sender's request to the response of a waiting sync. */
export async function delivery(target: Target, messages: number): Promise<Figure[]> {
  const user = await registerUser(target.url)
  const roomId = await createRoom(user)
  const poller = await startPoller(user, roomId)
  const times: number[] = []
  const deliver = async (text: string) => {
    const heard = poller.hear(text)
    await new Promise((resolve) => setTimeout(resolve, 15))
    const started = performance.now()
    await sendText(user, roomId, text)
    times.push((await heard) - started)
  }
  for (let i = 0; i < messages; i++) await deliver(`warm-up ${i}`)
  times.length = 0
  const { cpu } = await measure(target, async () => {
    for (let i = 0; i < messages; i++) await deliver(`message ${i}`)
  })
  return [
    { name: 'delivery to a waiting sync, p50', value: percentile(times, 0.5), unit: 'ms' },
    { name: 'delivery to a waiting sync, p99', value: percentile(times, 0.99), unit: 'ms' },
    { name: 'CPU of one delivery', value: cpu / messages, unit: 'ms' },
  ]
}

/** Joins many users, then sends messages to all of them while they wait in sync. */
export async function fanOut(target: Target, members: number, messages: number): Promise<Figure[]> {
  const owner = await registerUser(target.url)
  const roomId = await createRoom(owner)
  const users: TestUser[] = []
  await inParallel(members, 8, async () => users.push(await registerUser(target.url)))
  const joins = await measure(target, () =>
    inParallel(members, 8, (number) => users[number]!.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)),
  )
  const pollers: Poller[] = []
  await inParallel(members, 8, async (number) => pollers.push(await startPoller(users[number]!, roomId)))
  const times: number[] = []
  let cpu = 0
  for (let i = 0; i < messages; i++) {
    const heard = pollers.map((poller) => poller.hear(`message ${i}`))
    await untilQuiet(pollers)
    const sent = await measure(target, async () => {
      await sendText(owner, roomId, `message ${i}`)
      await Promise.all(heard)
    })
    cpu += sent.cpu
    times.push(sent.wall)
  }
  return [
    { name: 'CPU per join', value: joins.cpu / members, unit: 'ms' },
    { name: 'joins per second', value: (members / joins.wall) * 1000, unit: '1/s' },
    { name: `CPU per member for a message to ${members} waiting syncs`, value: cpu / messages / members, unit: 'ms' },
    { name: 'until the last of them has it, p50', value: percentile(times, 0.5), unit: 'ms' },
  ]
}

/** Waits until all polls have begun to wait: presence answers some at first. */
async function untilQuiet(pollers: readonly Poller[]): Promise<void> {
  const count = () => pollers.reduce((sum, poller) => sum + poller.others(), 0)
  for (let before = -1; before !== count(); ) {
    before = count()
    await new Promise((resolve) => setTimeout(resolve, 400))
  }
}

/**
 * Sends messages to a room with many members and to one with few, alternating, so that other load affects both equally.
 */
export async function roomSizes(
  target: Target,
  { few, many, messages }: { few: number; many: number; messages: number },
): Promise<Figure[]> {
  const owner = await registerUser(target.url)
  const rooms = [await createRoom(owner), await createRoom(owner)] as const
  await inParallel(many - 1, 8, async (number) => {
    const user = await registerUser(target.url)
    for (const roomId of number < few - 1 ? rooms : [rooms[1]])
      await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
  })
  const cpu = [0, 0]
  const batch = messages / ROUNDS
  for (let round = -1; round < ROUNDS; round++) {
    for (const [place, roomId] of rooms.entries()) {
      const sent = await measure(target, () => inParallel(batch, 8, (i) => sendText(owner, roomId, `message ${i}`)))
      // The first round warms up.
      if (round >= 0) cpu[place]! += sent.cpu
    }
  }
  return [
    { name: `CPU per message in a room of ${few}`, value: cpu[0]! / messages, unit: 'ms' },
    { name: `CPU per message in a room of ${many}`, value: cpu[1]! / messages, unit: 'ms' },
    { name: `their ratio`, value: cpu[1]! / cpu[0]!, unit: '×' },
  ]
}

/** Measures upload and download of a file, and of a photograph until its thumbnail is there. */
export async function media(target: Target): Promise<Figure[]> {
  const user = await registerUser(target.url)
  const headers = { Authorization: `Bearer ${user.accessToken}` }
  const upload = async (bytes: Buffer, type: string): Promise<string> => {
    const answer = await fetch(`${target.url}/_matrix/media/v3/upload`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': type },
      body: new Uint8Array(bytes),
    })
    return ((await answer.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
  }
  const files = Array.from({ length: 20 }, (_, i) => Buffer.alloc(1_000_000, `file ${i} ${Math.random()}`))
  let ids: string[] = []
  const up = await measure(target, async () => {
    ids = await Promise.all(files.map((file) => upload(file, 'application/octet-stream')))
  })
  const down = await measure(target, async () => {
    for (const id of ids)
      await (await fetch(`${target.url}/_matrix/client/v1/media/download/${id}`, { headers })).arrayBuffer()
  })
  const photograph = await sharp({
    create: {
      width: 4000,
      height: 3000,
      channels: 3,
      background: '#888',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  })
    .jpeg()
    .toBuffer()
  // Together, since some servers make thumbnails when they receive a file.
  const thumbnail = await measure(target, async () => {
    const photo = await upload(photograph, 'image/jpeg')
    const path = `/_matrix/client/v1/media/thumbnail/${photo}?width=320&height=240`
    await (await fetch(target.url + path, { headers })).arrayBuffer()
  })
  return [
    { name: 'CPU per uploaded megabyte', value: up.cpu / files.length, unit: 'ms' },
    { name: 'CPU per downloaded megabyte', value: down.cpu / files.length, unit: 'ms' },
    { name: 'upload and first thumbnail of a 12-megapixel photograph', value: thumbnail.wall, unit: 'ms' },
  ]
}
