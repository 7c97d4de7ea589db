import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { startAppservice, type TestAppservice } from '../harness/appservice.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

/** One application service of a server of two processes, either of which may die at any moment. */
const v3 = '/_matrix/client/v3'

let postgres: TestPostgres
let hearths: [TestHearth, TestHearth]
let irc: TestAppservice

beforeAll(async () => {
  ;[postgres, irc] = await Promise.all([startPostgres(), startAppservice('irc')])
  const databaseUrl = await postgres.createDatabase()
  const config = { appservices: [irc.registrationFile] }
  hearths = await Promise.all([startHearth({ databaseUrl, config }), startHearth({ databaseUrl, config })])
})
afterAll(async () => {
  await Promise.all((hearths ?? []).map((hearth) => hearth.dispose()))
  await irc?.dispose()
  await postgres?.stop()
})

const inRoom = (roomId: string, rest: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${rest}`
const MESSAGES = 40
/** Two starts, on a busy machine. */
const LONGEST_MS = 300_000

/** Sends messages through a process, one after the other, until it dies, and returns the acknowledged ones. */
async function talk(user: TestUser, roomId: string, prefix: string): Promise<string[]> {
  const sent: string[] = []
  for (let i = 0; i < MESSAGES; i++) {
    const eventId = await sendText(user, roomId, `${prefix} ${i}`).catch(() => undefined)
    if (eventId === undefined) break
    sent.push(eventId)
  }
  return sent
}

/** Returns the received events, repeated if they came in different transactions. */
function received(roomId: string): string[] {
  return irc
    .events()
    .flatMap(({ room_id, event_id, type }) => (room_id === roomId && type === 'm.room.message' ? event_id : []))
}

test(
  'it is told everything, once and in order, while processes and it itself are killed',
  async () => {
    const [first, second] = hearths
    const alice = await registerUser(first.url)
    const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat' })
    await irc.ask(second.url, { method: 'POST', path: inRoom(roomId, 'join') })
    const there = { ...alice, url: second.url }
    const throughSecond: TestUser = { ...there, put: (path, body) => putAt(second.url, alice, path, body) }
    const all: string[] = []
    for (const [round, victim] of [first, second].entries()) {
      const talks = Promise.all([talk(alice, roomId, `a${round}`), talk(throughSecond, roomId, `b${round}`)])
      await pollUntil('something arrives', () => received(roomId).length > all.length)
      await victim.kill('SIGKILL')
      await irc.stop()
      all.push(...(await talks).flat())
      await irc.start()
      await victim.restart()
      all.push(await sendText(alice, roomId, `round ${round}`))
      const last = all.at(-1)!
      await pollUntil('the last one arrives', () => received(roomId).includes(last), 60_000)
    }
    const history = await alice.get(`${inRoom(roomId, 'messages')}?dir=f&limit=500`)
    const messages = history.chunk.filter(({ type }: { type: string }) => type === 'm.room.message')
    const order = messages.map(({ event_id }: { event_id: string }) => event_id)
    expect(order).toEqual(expect.arrayContaining(all))
    // The harness refuses a repeated transaction with other content.
    expect(received(roomId)).toEqual(order)
  },
  LONGEST_MS,
)

async function putAt(url: string, { accessToken }: TestUser, path: string, body: unknown) {
  const headers = { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'application/json' }
  const response = await fetch(url + path, { method: 'PUT', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}
