import { expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'

/** A client that long-polls while others write, at any process. */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const WRITERS = 4
const ROUNDS = 15

type Event = { event_id: string; type: string; content: { body?: string } }

test('a reader that long-polls gets every event once and in order, gaps filled by /messages', async () => {
  const [reader, ...writers] = (await Promise.all(Array.from({ length: WRITERS + 1 }, () => registerUser(url)))) as [
    TestUser,
    ...TestUser[],
  ]
  const roomId = (await reader.post(`${v3}/createRoom`, { preset: 'public_chat' })).room_id
  for (const writer of writers) await writer.post(`${v3}/rooms/${roomId}/join`)
  let since: string = (await reader.get(`${v3}/sync`)).next_batch
  const start = since

  const work = Promise.all(writers.map((writer, index) => write(writer, roomId, index)))
  let isDone = false
  work.finally(() => (isDone = true)).catch(() => {})
  const told: Event[] = []
  for (let rest = 2; rest > 0; ) {
    if (isDone) rest--
    const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 3 } } }))
    const body = await reader.get(`${v3}/sync?since=${since}&timeout=500&filter=${filter}`)
    const timeline = body.rooms?.join?.[roomId]?.timeline
    if (timeline?.limited) told.push(...(await gap(reader, roomId, { from: timeline.prev_batch, to: since })))
    if (timeline) told.push(...timeline.events)
    since = body.next_batch
  }
  const sent = (await work).flat()
  const ids = told.map((event) => event.event_id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(sent.filter((id) => !ids.includes(id))).toEqual([])
  const history = await gap(reader, roomId, { from: since, to: start })
  expect(ids).toEqual(history.map((event) => event.event_id))
}, 60_000)

/** Sends messages, state and receipts, leaves and rejoins, and returns the IDs of the messages. */
async function write(writer: TestUser, roomId: string, index: number): Promise<string[]> {
  const ids: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const id = await sendText(writer, roomId, `${index}.${round}`)
    ids.push(id)
    if (round % 5 === 1) await writer.post(`${v3}/rooms/${roomId}/receipt/m.read/${encodeURIComponent(id)}`)
    if (round % 5 === 2) await writer.put(`${v3}/profile/${writer.userId}/displayname`, { displayname: `${round}` })
    if (round % 5 === 3) {
      await writer.post(`${v3}/rooms/${roomId}/leave`)
      await writer.post(`${v3}/rooms/${roomId}/join`)
    }
  }
  return ids
}

/** Returns the events between two tokens, oldest first. */
async function gap(reader: TestUser, roomId: string, { from, to }: { from: string; to: string }): Promise<Event[]> {
  const events: Event[] = []
  let next: string | undefined = from
  while (next !== undefined) {
    const page: { chunk: Event[]; end?: string } = await reader.get(
      `${v3}/rooms/${roomId}/messages?dir=b&limit=100&from=${next}&to=${to}`,
    )
    events.push(...page.chunk)
    next = page.end
  }
  return events.reverse()
}
