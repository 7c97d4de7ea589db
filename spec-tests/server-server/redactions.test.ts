import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Event } from '../../testing/matrix/pdu.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { type ClientEvent, eventPath, hasEvent, historyOf, roomPath, syncUntil, v1, v3 } from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** https://spec.matrix.org/v1.19/rooms/v3/#handling-redactions */
let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
let peer: LyingServer
let alice: TestUser
let room: PeerRoom

beforeAll(async () => {
  federation = await startFederation()
  ;[hearth, peer] = await Promise.all([federation.hearth(), startLyingServer(federation)])
})
afterAll(() => federation.dispose())
beforeEach(async () => {
  alice = await registerUser(hearth.url)
})

async function begin(version = '12'): Promise<void> {
  room = peer.room({ version })
  await alice.post(`${v3}/join/${encodeURIComponent(room.roomId)}?via=${peer.serverName}`)
}
const redaction = (redacts: string, fields: object = {}): Event => {
  const names = room.version.redactsInContent ? { content: { redacts, reason: 'why' } } : { redacts, content: {} }
  return room.add({ type: 'm.room.redaction', ...names, ...fields })
}
/** Sends events, and a further one: when that has arrived, the others have been processed. */
async function deliver(...events: Event[]): Promise<void> {
  const [last] = room.say(1, 'after')
  await peer.send(hearth, [...events, last!])
  await pollUntil('the events have arrived', () => hasEvent(alice, last!))
}
const idsOf = (events: readonly ClientEvent[]) => events.map(({ event_id }) => event_id)

/** Returns the event as a client gets it by every endpoint, by its ID. */
async function placesOf(event: Event): Promise<string[]> {
  const { roomId } = room
  const sync = await alice.get(`${v3}/sync`)
  const body = { lists: { all: { ranges: [[0, 5]], timeline_limit: 50, required_state: [] } } }
  const sliding = await slidingClient(alice, { connId: `c${Math.random()}` }).sync(body)
  const [first] = room.say(0).concat(room.latest)
  const context = await alice.get(roomPath(roomId, `context/${encodeURIComponent(first!.event_id)}?limit=100`))
  const places: Record<string, string[]> = {
    sync: idsOf(sync.rooms.join[roomId].timeline.events),
    sliding: idsOf(sliding.rooms[roomId].timeline),
    messages: idsOf(await historyOf(alice, roomId)),
    context: idsOf([...context.events_before, ...context.events_after]),
    event: (await hasEvent(alice, event)) ? [event.event_id] : [],
  }
  return Object.keys(places).filter((place) => places[place]!.includes(event.event_id))
}
const EVERYWHERE = ['sync', 'sliding', 'messages', 'context', 'event']

describe.each(['10', '12'])('in a room of version %s, a redaction', (version) => {
  test('of an event that is here is delivered', async () => {
    await begin(version)
    const [message] = room.say(1, 'secret')
    const redacted = redaction(message!.event_id)
    await deliver(message!, redacted)
    expect(await placesOf(redacted)).toEqual(EVERYWHERE)
    expect((await alice.get(roomPath(room.roomId, eventPath('event', message!.event_id)))).content).toEqual({})
  })

  test('that came before what it redacts is withheld, then applied and delivered', async () => {
    await begin(version)
    // Concurrent with the redaction, which does not follow it.
    const message = room.make({ content: { msgtype: 'm.text', body: 'secret' } })
    const redacted = redaction(message.event_id)
    const { next_batch } = await alice.get(`${v3}/sync`)
    await deliver(redacted)
    expect(await placesOf(redacted)).toEqual([])
    const { pdus } = (await peer.ask(hearth, 'GET', `/_matrix/federation/v1/event/${redacted.event_id}`)).body
    expect(pdus[0].type).toBe('m.room.redaction')
    await deliver(message)
    await pollUntil('the redaction is delivered', () => hasEvent(alice, redacted))
    expect(await placesOf(redacted)).toEqual(expect.arrayContaining(['sync', 'sliding', 'event']))
    const emptied = await alice.get(roomPath(room.roomId, eventPath('event', message.event_id)))
    expect(emptied.content).toEqual({})
    expect(emptied.unsigned.redacted_because.event_id).toBe(redacted.event_id)
    const told: string[] = []
    await syncUntil(alice, next_batch, ({ rooms }) => {
      told.push(...idsOf(rooms?.join?.[room.roomId]?.timeline.events ?? []))
      return told.includes(redacted.event_id)
    })
    expect(told.indexOf(redacted.event_id)).toBeGreaterThan(told.indexOf(message.event_id))
  })

  test('stays withheld that names an event of another room', async () => {
    await begin(version)
    const other = room
    const [message] = other.say(1, 'kept')
    await deliver(message!)
    await begin(version)
    const redacted = redaction(message!.event_id)
    await deliver(redacted)
    expect(await placesOf(redacted)).toEqual([])
    const { content } = await alice.get(roomPath(other.roomId, eventPath('event', message!.event_id)))
    expect(content.body).toBe('kept 0')
  })

  test('of a redaction empties that', async () => {
    await begin(version)
    const [message] = room.say(1, 'secret')
    const first = redaction(message!.event_id, version === '12' ? {} : { content: { reason: 'why' } })
    const second = redaction(first.event_id)
    await deliver(message!, first, second)
    const { content, unsigned } = await alice.get(roomPath(room.roomId, eventPath('event', first.event_id)))
    expect(content.reason).toBeUndefined()
    expect(unsigned.redacted_because.event_id).toBe(second.event_id)
  })
})

test('a redacted name of a room of another server is gone from the summary', async () => {
  await begin()
  const name = room.add({ type: 'm.room.name', state_key: '', content: { name: 'Abuse' } })
  await deliver(name)
  const summary = () => alice.get(`${v1}/room_summary/${encodeURIComponent(room.roomId)}`)
  expect((await summary()).name).toBe('Abuse')
  await deliver(redaction(name.event_id))
  expect((await summary()).name).toBeUndefined()
})

test('the name of a redacted member of another server is found no more', async () => {
  await begin()
  const content = { membership: 'join', displayname: 'Zanzibar' }
  const member = room.add({ type: 'm.room.member', state_key: room.creator, content })
  await deliver(member)
  const search = async () =>
    (await alice.post(`${v3}/user_directory/search`, { search_term: 'zanzi' })).results.map(
      ({ user_id }: { user_id: string }) => user_id,
    )
  expect(await search()).toEqual([room.creator])
  await deliver(redaction(member.event_id))
  expect(await search()).toEqual([])
})

test('state that arrives after its redaction is never shown', async () => {
  await begin()
  const name = room.make({ type: 'm.room.name', state_key: '', content: { name: 'Abuse' } })
  await deliver(redaction(name.event_id))
  await deliver(name)
  const { name: shown } = await alice.get(`${v1}/room_summary/${encodeURIComponent(room.roomId)}`)
  expect(shown).toBeUndefined()
  expect((await alice.get(roomPath(room.roomId, 'state/m.room.name/'))).name).toBeUndefined()
})
