import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  historyOf,
  joinRoom,
  roomPath,
  sendEvent,
  sendState,
  v3,
} from '../rooms.ts'
import { slidingClient } from '../sliding-client.ts'
import { KIB, text } from './sizes.ts'

/** The byte limits in these tests of a page, a timeline, and a sync with its other sections. */
const PAGE = 200 * KIB
const TIMELINE = 200 * KIB
const SYNC = 900 * KIB

const large = (name: string, bytes = 40 * KIB) => ({ msgtype: 'm.text', body: name, padding: text(bytes) })

async function sendLarge(user: TestUser, roomId: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, place) => `large ${place}`)
  for (const name of names) await sendEvent(user, roomId, large(name))
  return names
}

/** Sends state of 1.4 MB, more than a sync includes per room. */
async function growState(user: TestUser, roomId: string): Promise<void> {
  const content = { padding: text(20 * KIB) }
  await Promise.all(
    Array.from({ length: 70 }, (_, place) =>
      sendState(user, roomId, { type: 'org.example', key: `${place}`, content }),
    ),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
type Body = any

/** Syncs until there are no changes; each response must be small. */
async function syncAll(
  user: TestUser,
  { since, filter = {} }: { since?: string; filter?: object } = {},
): Promise<Body[]> {
  const answers: Body[] = []
  let token = since
  for (;;) {
    const query = new URLSearchParams({ filter: JSON.stringify(filter), ...(token && { since: token }) })
    const body = await user.get(`${v3}/sync?${query}`)
    expect(JSON.stringify(body).length).toBeLessThan(SYNC)
    if (token && !body.rooms) return answers
    answers.push(body)
    token = body.next_batch
  }
}

const names = (events: readonly ClientEvent[] = []) => events.flatMap(({ content }) => content.body ?? [])
const typesOf = (events: readonly ClientEvent[]) => new Set(events.map(({ type }) => type))
const timelineOf = (answers: readonly Body[], roomId: string) =>
  answers.flatMap(({ rooms }) => rooms?.join?.[roomId]?.timeline.events ?? [])

async function twoUsers(url: string): Promise<{ attacker: TestUser; victim: TestUser }> {
  const [attacker, victim] = await Promise.all([registerUser(url), registerUser(url)])
  return { attacker: attacker!, victim: victim! }
}

/** Creates rooms of an attacker, with some large state each, which the victim has joined. */
async function manyRooms(attacker: TestUser, victim: TestUser, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const roomId = await createRoom(attacker, { topic: text(22 * KIB) })
      await joinRoom(roomId, victim)
      return roomId
    }),
  )
}

const MANY: object = { room: { timeline: { limit: 100 }, state: { lazy_load_members: true } } }
const EVERYTHING = { lists: { all: { ranges: [[0, 99]], required_state: [['*', '*']], timeline_limit: 50 } } }

/** Rooms with more content than a response holds. */
export const largeAnswers: Attack[] = [
  {
    name: 'a timeline of large events is cut, and can be read on from where it begins',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      await joinRoom(roomId, victim)
      const sent = await sendLarge(attacker, roomId, 15)
      const { rooms } = await victim.get(`${v3}/sync?filter=${encodeURIComponent(JSON.stringify(MANY))}`)
      const { timeline } = rooms.join[roomId]
      expect(JSON.stringify(timeline).length).toBeLessThan(TIMELINE)
      expect(timeline.limited).toBe(true)
      const told = names(timeline.events)
      expect(told).toEqual(sent.slice(-told.length))
      const page = await victim.get(roomPath(roomId, `messages?dir=b&limit=100&from=${timeline.prev_batch}`))
      expect(names(page.chunk)[0]).toBe(sent.at(-told.length - 1))
    },
  },
  {
    name: 'a flood of large events while a user is away',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const [flooded, quiet] = [await createRoom(attacker), await createRoom(victim)]
      await joinRoom(flooded, victim)
      const { next_batch: since } = await victim.get(`${v3}/sync`)
      await sendEvent(victim, quiet, { msgtype: 'm.text', body: 'quiet' })
      const sent = await sendLarge(attacker, flooded, 30)
      const answers = await syncAll(victim, { since, filter: MANY })
      expect(names(timelineOf(answers, quiet))).toEqual(['quiet'])
      expect(names(timelineOf(answers, flooded)).at(-1)).toBe(sent.at(-1))
    },
  },
  {
    name: 'pages of large events are short, and lead through the whole history',
    async attempt({ url }) {
      const { attacker } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      const sent = await sendLarge(attacker, roomId, 10)
      const page = await attacker.get(roomPath(roomId, 'messages?dir=b&limit=100'))
      expect(JSON.stringify(page).length).toBeLessThan(PAGE)
      expect(page.chunk.length).toBeGreaterThan(0)
      expect(names(await historyOf(attacker, roomId))).toEqual(sent)
    },
  },
  {
    name: 'pages forwards of large events lead through the whole history',
    async attempt({ url }) {
      const { attacker } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      const sent = await sendLarge(attacker, roomId, 8)
      const found: string[] = []
      let from: string | undefined
      do {
        const page: Body = await attacker.get(
          roomPath(roomId, `messages?dir=f&limit=100${from ? `&from=${from}` : ''}`),
        )
        expect(JSON.stringify(page).length).toBeLessThan(PAGE)
        found.push(...names(page.chunk))
        from = page.chunk.length > 0 ? page.end : undefined
      } while (from)
      expect(found).toEqual(sent)
    },
  },
  {
    name: 'pages of a filter that takes only large events',
    async attempt({ url }) {
      const { attacker } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      const sent = await sendLarge(attacker, roomId, 8)
      const filter = `&filter=${encodeURIComponent(JSON.stringify({ types: ['m.room.message'] }))}`
      const page = await attacker.get(roomPath(roomId, `messages?dir=b&limit=100${filter}`))
      expect(JSON.stringify(page).length).toBeLessThan(PAGE)
      expect(names(await historyOf(attacker, roomId, filter))).toEqual(sent)
    },
  },
  {
    name: 'messages that were redacted with long reasons',
    async attempt({ url }) {
      const { attacker } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      for (let place = 0; place < 6; place++) {
        const eventId = await sendEvent(attacker, roomId, { msgtype: 'm.text', body: 'gone' })
        await attacker.put(roomPath(roomId, `${eventPath('redact', eventId)}/gone${place}`), { reason: text(55 * KIB) })
      }
      const filter = encodeURIComponent(JSON.stringify({ types: ['m.room.message'] }))
      const { chunk } = await pollUntil('the process that answers knows all redactions', async () => {
        const page = await attacker.get(roomPath(roomId, `messages?dir=b&limit=100&filter=${filter}`))
        return (
          page.chunk.every(({ unsigned }: { unsigned?: object }) => unsigned && 'redacted_because' in unsigned) && page
        )
      })
      expect(JSON.stringify(chunk).length).toBeLessThan(PAGE)
      expect(chunk).toHaveLength(6)
      for (const { unsigned } of chunk) expect(unsigned.redacted_because.content.reason).toMatch(/^x{100}/)
    },
  },
  {
    name: 'the context of an event among large ones',
    async attempt({ url }) {
      const { attacker } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      await sendLarge(attacker, roomId, 8)
      const middle = await sendEvent(attacker, roomId, large('middle'))
      await sendLarge(attacker, roomId, 8)
      const around = await attacker.get(roomPath(roomId, `context/${encodeURIComponent(middle)}?limit=100`))
      expect(JSON.stringify(around).length).toBeLessThan(2 * PAGE + 50 * KIB)
      expect(names(around.events_before)[0]).toBe('large 7')
      expect(names(around.events_after)[0]).toBe('large 0')
      const before = await attacker.get(roomPath(roomId, `messages?dir=b&limit=1&from=${around.start}`))
      expect(names(before.chunk)[0]).toBe(`large ${7 - around.events_before.length}`)
    },
  },
  {
    name: 'a room with more state than a sync tells of it',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const roomId = await createRoom(attacker, { name: 'Large' })
      await growState(attacker, roomId)
      await joinRoom(roomId, victim)
      const [first] = await syncAll(victim)
      const { state, timeline } = first.rooms.join[roomId]
      const told = typesOf([...state.events, ...timeline.events])
      for (const type of ['m.room.create', 'm.room.power_levels', 'm.room.name', 'm.room.member'])
        expect(told).toContain(type)
    },
  },
  {
    name: 'state that grows while a user is away',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const [roomId, other] = [await createRoom(attacker), await createRoom(attacker)]
      await joinRoom(roomId, victim)
      await joinRoom(other, victim)
      const { next_batch: since } = await victim.get(`${v3}/sync`)
      await growState(attacker, roomId)
      await sendState(attacker, roomId, { type: 'm.room.name', content: { name: 'Grown' } })
      await sendState(attacker, other, { type: 'm.room.name', content: { name: 'Other' } })
      await sendLarge(attacker, roomId, 5)
      const answers = await syncAll(victim, { since })
      const events = (id: string) =>
        answers.flatMap(({ rooms }) => [...(rooms.join?.[id]?.state.events ?? []), ...timelineOf([{ rooms }], id)])
      const nameIn = (id: string) => events(id).find(({ type }: ClientEvent) => type === 'm.room.name')?.content.name
      expect([nameIn(roomId), nameIn(other)]).toEqual(['Grown', 'Other'])
    },
  },
  {
    name: 'more rooms than a first sync holds come in several syncs, each once, and what happens meanwhile',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const rooms = await manyRooms(attacker, victim, 24)
      const { next_batch: since, rooms: first } = await victim.get(`${v3}/sync`)
      expect(Object.keys(first.join).length).toBeLessThan(24)
      await sendEvent(attacker, rooms[0]!, { msgtype: 'm.text', body: 'first' })
      await sendEvent(attacker, rooms[23]!, { msgtype: 'm.text', body: 'last' })
      const later = await syncAll(victim, { since })
      const answers = [{ rooms: first }, ...later]
      const withState = answers.flatMap(({ rooms: told }) =>
        Object.entries(told?.join ?? {}).flatMap(([id, room]) => {
          const events = [...(room as Body).state.events, ...(room as Body).timeline.events]
          return typesOf(events).has('m.room.create') ? id : []
        }),
      )
      expect(withState.sort()).toEqual([...rooms].sort())
      for (const [place, body] of [
        [0, 'first'],
        [23, 'last'],
      ] as const)
        expect(names(timelineOf(answers, rooms[place]!))).toEqual([body])
    },
  },
  {
    name: 'rooms that are joined and left between the parts of a first sync',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const rooms = await manyRooms(attacker, victim, 20)
      const { next_batch: since, rooms: first } = await victim.get(`${v3}/sync`)
      const untold = rooms.filter((roomId) => !first.join[roomId])
      expect(untold.length).toBeGreaterThan(2)
      await victim.post(roomPath(untold[0]!, 'leave'))
      const joined = await createRoom(victim, { name: 'New' })
      const later = await syncAll(victim, { since })
      const told = new Set(later.flatMap(({ rooms: some }) => Object.keys(some.join ?? {})))
      expect(told).toEqual(new Set([...untold.slice(1), joined]))
    },
  },
  {
    name: 'more rooms than an answer of sliding sync holds come in several, each once',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const rooms = await manyRooms(attacker, victim, 24)
      const sliding = slidingClient(victim)
      const told: string[] = []
      for (let answers = 0; told.length < rooms.length && answers < 10; answers++) {
        const body = await sliding.sync(EVERYTHING, { timeout: 5000 })
        expect(JSON.stringify(body).length).toBeLessThan(SYNC)
        told.push(...Object.entries(body.rooms).flatMap(([id, room]) => ((room as Body).initial ? id : [])))
      }
      expect(told.sort()).toEqual([...rooms].sort())
      expect((await sliding.sync()).rooms).toEqual({})
    },
  },
  {
    name: 'a subscribed room comes first among more rooms than an answer holds',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const rooms = await manyRooms(attacker, victim, 24)
      const subscription = { required_state: [], timeline_limit: 1 }
      const body = { ...EVERYTHING, room_subscriptions: { [rooms[0]!]: subscription } }
      const answer = await slidingClient(victim).sync(body)
      expect(Object.keys(answer.rooms)).toContain(rooms[0])
      expect(Object.keys(answer.rooms).length).toBeLessThan(rooms.length)
    },
  },
  {
    name: 'a flood of large events is cut in sliding sync',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const roomId = await createRoom(attacker)
      await joinRoom(roomId, victim)
      const sliding = slidingClient(victim)
      await sliding.sync(EVERYTHING)
      const sent = await sendLarge(attacker, roomId, 15)
      const { rooms } = await sliding.sync()
      expect(JSON.stringify(rooms).length).toBeLessThan(TIMELINE)
      expect(rooms[roomId].limited).toBe(true)
      expect(names(rooms[roomId].timeline).at(-1)).toBe(sent.at(-1))
    },
  },
  {
    name: 'a room with much state in sliding sync',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const roomId = await createRoom(attacker, { name: 'Large' })
      await growState(attacker, roomId)
      await joinRoom(roomId, victim)
      const { rooms } = await slidingClient(victim).sync(EVERYTHING)
      expect(JSON.stringify(rooms).length).toBeLessThan(SYNC)
      expect(rooms[roomId].name).toBe('Large')
      expect(typesOf(rooms[roomId].required_state)).toContain('m.room.power_levels')
    },
  },
  {
    name: 'all state anew of more rooms than an answer holds',
    async attempt({ url }) {
      const { attacker, victim } = await twoUsers(url)
      const rooms = [await createRoom(attacker), await createRoom(attacker)]
      await Promise.all(rooms.map((roomId) => growState(attacker, roomId)))
      for (const roomId of rooms) await joinRoom(roomId, victim)
      const { next_batch } = (await syncAll(victim)).at(-1)
      const body = await victim.get(`${v3}/sync?since=${next_batch}&full_state=true`)
      expect(JSON.stringify(body).length).toBeLessThan(SYNC)
      for (const roomId of rooms) expect(typesOf(body.rooms.join[roomId].state.events)).toContain('m.room.power_levels')
    },
  },
]
