import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Event, Pdu } from '../../testing/matrix/pdu.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { asUser, registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { forgetPeak, peakMemory } from '../harness/process-memory.ts'
import { hasEvent, historyOf, roomPath, syncedRoom, v3 } from '../harness/rooms.ts'

/** The number of missing events, and of concurrent ones; `FAULT_EVENTS=50000` for the long run. */
const MANY = Number(process.env.FAULT_EVENTS ?? 10_000)
const FLOOD = Math.max(1000, MANY / 10)
const PDUS = 50
/** On a busy machine. */
const PATIENCE_MS = 120_000
/** Memory that a server may need in addition, in MiB. */
const MEMORY_MIB = 300

let federation: Awaited<ReturnType<typeof startFederation>>
const started = new Map<string, Promise<TestHearth[]>>()
beforeAll(async () => {
  federation = await startFederation()
  // The second kind starts while the first is tested.
  for (const [where, start] of Object.entries(SERVERS)) {
    const starting = start()
    starting.catch(() => {})
    started.set(where, starting)
  }
})
afterAll(async () => {
  await Promise.allSettled(started.values())
  await federation.dispose()
})

/** The processes of a server; the first is killed. */
const SERVERS: Record<string, () => Promise<TestHearth[]>> = {
  async 'two processes on PostgreSQL'() {
    const postgres = await startPostgres()
    federation.onDispose(() => postgres.stop())
    const databaseUrl = await postgres.createDatabase()
    const first = await federation.hearth({ databaseUrl })
    return [first, await federation.hearth({ databaseUrl, serverName: first.serverName })]
  },
  'one process on PGlite': async () => [await federation.hearth()],
}

/** Creates a server with a room that a user of Hearth has joined. */
async function shared(hearth: TestHearth): Promise<{ peer: LyingServer; room: PeerRoom; alice: TestUser }> {
  const [peer, alice] = await Promise.all([startLyingServer(federation), registerUser(hearth.url)])
  const room = peer.room()
  await join(alice, peer, room)
  return { peer, room, alice }
}

async function join(user: TestUser, peer: LyingServer, room: PeerRoom): Promise<void> {
  await user.post(`${v3}/join/${encodeURIComponent(room.roomId)}?via=${peer.serverName}`)
}

async function expectHeard(user: TestUser, event: Event): Promise<void> {
  await pollUntil('the event is there', () => hasEvent(user, event), PATIENCE_MS)
}

async function bodies(user: TestUser, room: PeerRoom): Promise<string[]> {
  return (await historyOf(user, room.roomId)).flatMap(({ content }) => content.body ?? [])
}

const forged = (event: Event, change: Partial<Pdu>): Pdu => ({ ...event.pdu, ...change }) as Pdu

describe.each(Object.keys(SERVERS))('%s', { timeout: 3 * PATIENCE_MS }, (where) => {
  let hearth: TestHearth
  /** Another process of the same server, if there is one. */
  let second: TestHearth
  beforeAll(async () => {
    const [first, other] = await started.get(where)!
    ;[hearth, second] = [first!, other ?? first!]
  }, 300_000)

  /** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid */
  test('bad events in a transaction harm neither the good ones nor other rooms', async () => {
    const { peer, room, alice } = await shared(hearth)
    const other = peer.room()
    await join(alice, peer, other)
    const unknown = peer.room()
    const stranger = await startLyingServer(federation)
    const [first, unsigned, changed, last] = room.say(4) as [Event, Event, Event, Event]
    const spoken = other.add({ content: { body: 'elsewhere' } })
    const nested = `{"a":${'['.repeat(400)}${']'.repeat(400)}}`
    const impostor = room.make({ sender: `@x:${stranger.serverName}`, content: { body: 'impostor' } })
    const results = await peer.send(hearth, [
      first,
      first,
      5,
      null,
      [],
      { ...first.pdu, content: JSON.parse(nested) },
      forged(unsigned, { signatures: { [peer.serverName]: { [peer.signer.keyId]: 'A'.repeat(86) } } }),
      forged(changed, { content: { body: 'not what was hashed' } }),
      impostor,
      forged(room.make({ content: { body: 'moved' } }), { room_id: other.roomId }),
      unknown.add({ content: { body: 'of a room that is not here' } }),
      forged(room.make({ content: { body: 'too large' } }), { content: { body: 'x'.repeat(70_000) } }),
      spoken,
      last,
    ])
    expect(results[first.event_id]).toEqual({})
    expect(results[spoken.event_id]).toEqual({})
    expect(results[last.event_id]).toEqual({})
    expect(results[unsigned.event_id]).toHaveProperty('error')
    expect(results[impostor.event_id]).toHaveProperty('error')
    await expectHeard(alice, last)
    await expectHeard(alice, spoken)
    const said = await bodies(alice, room)
    expect(said).toContain('message 0')
    expect(said).not.toContain('not what was hashed')
    expect(said).not.toContain('impostor')
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu */
  test('events from a server count only with the signatures of their senders', async () => {
    const [peer, stranger, alice] = await Promise.all([
      startLyingServer(federation),
      startLyingServer(federation),
      registerUser(hearth.url),
    ])
    const room = peer.room()
    const member = (name: string, server: string) => {
      const userId = `@${name}:${server}`
      return room.add({ type: 'm.room.member', state_key: userId, sender: userId, content: { membership: 'join' } })
    }
    const said = room.say(3, 'before')
    const [bob, unsigned] = [member('bob', peer.serverName), member('unsigned', peer.serverName)]
    // Not signed by its own server.
    member('impostor', stranger.serverName)
    const topic = room.add({ type: 'm.room.topic', state_key: '', content: { topic: 'as it was signed' } })
    const badly = new Map<unknown, Partial<Pdu>>([
      [unsigned.pdu, { signatures: { [peer.serverName]: { [peer.signer.keyId]: 'A'.repeat(86) } } }],
      [topic.pdu, { content: { topic: 'not as it was signed' } }],
      [said[0]!.pdu, { content: { body: 'not as it was said' } }],
      [said[1]!.pdu, { signatures: { [stranger.serverName]: { [peer.signer.keyId]: 'A'.repeat(86) } } }],
    ])
    const forge = (pdus: Pdu[]) => pdus.map((pdu) => ({ ...pdu, ...badly.get(pdu) }))
    peer.lie('send_join', (asked) => {
      const answer = peer.honestly(asked) as { state: Pdu[]; auth_chain: Pdu[] }
      return { ...answer, state: forge(answer.state), auth_chain: forge(answer.auth_chain) }
    })
    peer.lie('backfill', (asked) => {
      const answer = peer.honestly(asked) as { pdus: Pdu[] }
      return { ...answer, pdus: forge(answer.pdus) }
    })
    await join(alice, peer, room)
    const { joined } = await alice.get(roomPath(room.roomId, 'joined_members'))
    expect(Object.keys(joined).sort()).toEqual([alice.userId, room.creator, bob.pdu.state_key!].sort())
    expect(await alice.get(roomPath(room.roomId, 'state/m.room.topic/'))).toEqual({})
    expect(await bodies(alice, room)).toEqual(['before 2'])
  })

  test('a repeated transaction takes effect once, and gets the same answer', async () => {
    const { peer, room, alice } = await shared(hearth)
    const events = room.say(30)
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => peer.send(i % 2 ? hearth : second, events, `same.${i % 3}`)),
    )
    for (const answer of answers)
      expect(answer).toEqual(Object.fromEntries(events.map((event) => [event.event_id, {}])))
    await expectHeard(alice, events.at(-1)!)
    await peer.send(second, events, 'once.more')
    const after = room.add({ content: { body: 'after' } })
    await peer.send(second, [after])
    await expectHeard(alice, after)
    expect(await bodies(alice, room)).toEqual([...events.map(({ pdu }) => pdu.content.body), 'after'])
  })

  test('a predecessor that is named twice, in a template or by an event, is one', async () => {
    const [peer, alice] = await Promise.all([startLyingServer(federation), registerUser(hearth.url)])
    const room = peer.room()
    peer.lie('make_join', (asked) => {
      const { event, ...more } = peer.honestly(asked) as { event: Pdu }
      return { ...more, event: { ...event, prev_events: [...event.prev_events, ...event.prev_events] } }
    })
    await join(alice, peer, room)
    const { event_id } = room.latest
    const later = room.add({ prev_events: [event_id, event_id], content: { body: 'after' } })
    await peer.send(hearth, [later])
    await expectHeard(alice, later)
  })

  test('a server that does not answer holds up neither other servers in its room nor other rooms', async () => {
    const { peer, room, alice } = await shared(hearth)
    const friend = await startLyingServer(federation)
    const member = { type: 'm.room.member', sender: `@f:${friend.serverName}`, state_key: `@f:${friend.serverName}` }
    await peer.send(hearth, [room.add({ ...member, content: { membership: 'join' }, signer: friend.signer })])
    const known = room.latest
    await expectHeard(alice, known)
    for (const kind of ['missing_events', 'event', 'state_ids', 'state', 'event_auth', 'backfill'] as const)
      peer.lie(kind, 'trickling')
    const [, late] = room.say(2) as [Event, Event]
    await peer.send(hearth, [late])
    await pollUntil('the server is asked', () => peer.count('missing_events') > 0)
    const start = Date.now()
    const prev_events = [known.event_id]
    const spoken = room.make({ sender: member.sender, content: { body: 'hello' }, prev_events, signer: friend.signer })
    await friend.send(hearth, [spoken])
    await expectHeard(alice, spoken)
    const { peer: another, room: elsewhere, alice: bob } = await shared(hearth)
    const [message] = elsewhere.say(1) as [Event]
    await another.send(hearth, [message])
    await expectHeard(bob, message)
    // Requests to other servers time out after thirty seconds: no timeout has let them through.
    if (Date.now() - start < 25_000) expect(peer.count('state_ids')).toBe(0)
    expect(await hasEvent(alice, late)).toBe(false)
  })

  test(`${MANY} missing events before one: it arrives, others arrive in the meantime, and memory stays bounded`, async () => {
    const { peer, room, alice } = await shared(hearth)
    const { peer: another, room: elsewhere, alice: bob } = await shared(hearth)
    room.say(MANY)
    room.add({ type: 'm.room.topic', state_key: '', content: { topic: 'after all that' } })
    const [last] = room.say(1, 'last') as [Event]
    forgetPeak(hearth.pid)
    const before = peakMemory(hearth.pid)
    await peer.send(hearth, [last])
    const [message] = elsewhere.say(1) as [Event]
    await another.send(hearth, [message])
    await expectHeard(bob, message)
    await expectHeard(alice, last)
    const { topic } = await alice.get(roomPath(room.roomId, 'state/m.room.topic'))
    expect(topic).toBe('after all that')
    // Pagination fetches more of it.
    const page = await alice.get(roomPath(room.roomId, 'messages?dir=b&limit=400'))
    expect(page.chunk.length).toBeGreaterThan(200)
    expect(peakMemory(hearth.pid) - before).toBeLessThan(MEMORY_MIB)
  })

  test('an event with a deep and wide auth chain is accepted', async () => {
    const { peer, room, alice } = await shared(hearth)
    const users = room.version.privilegedCreators ? {} : { [room.creator]: 100 }
    const levels = (i: number) => ({ users, events: { [`t${i}`]: 50 } })
    for (let i = 0; i < 200; i++) room.add({ type: 'm.room.power_levels', state_key: '', content: levels(i) })
    const fork = room.latest.event_id
    const ends = Array.from({ length: 20 }, (_, i) =>
      room.make({ type: 'm.room.power_levels', state_key: '', content: levels(1000 + i), prev_events: [fork] }),
    )
    const last = room.add({ content: { body: 'joined' }, prev_events: ends.map(({ event_id }) => event_id) })
    await peer.send(hearth, [last])
    await expectHeard(alice, last)
    const { events } = await alice.get(roomPath(room.roomId, 'state/m.room.power_levels'))
    expect(Object.keys(events)[0]).toMatch(/^t10\d\d$/)
  })

  test(`${FLOOD} events at once: all are there, and memory stays bounded`, async () => {
    const { peer, room, alice } = await shared(hearth)
    const events = room.say(FLOOD, 'flood', { filler: 'x'.repeat(2000) })
    for (const each of [hearth, second]) forgetPeak(each.pid)
    const before = [hearth, second].map(({ pid }) => peakMemory(pid))
    const transactions = Array.from({ length: events.length / PDUS }, (_, i) => events.slice(i * PDUS, (i + 1) * PDUS))
    await sendAll(peer, transactions, [hearth, second])
    await expectHeard(alice, events.at(-1)!)
    for (const [place, { pid }] of [hearth, second].entries()) {
      expect(peakMemory(pid) - before[place]!).toBeLessThan(MEMORY_MIB)
    }
    const { timeline } = await syncedRoom(alice, room.roomId)
    expect(timeline.events.at(-1).event_id).toBe(events.at(-1)!.event_id)
    // Each once: the order of the room is the topological one.
    const told: string[] = (await alice.get(roomPath(room.roomId, 'messages?dir=b&limit=1000'))).chunk.map(
      ({ event_id }: { event_id: string }) => event_id,
    )
    expect(told).toEqual(
      events
        .slice(-told.length)
        .map(({ event_id }) => event_id)
        .reverse(),
    )
  })

  // The last test, since the killed process is not restarted.
  test('kill -9 while events come: what has been acknowledged is there, once and in order', async () => {
    const [victim, survivor] = [hearth, second]
    const { peer, room, alice } = await shared(victim)
    const events = room.say(300, 'survives')
    const transactions = Array.from({ length: 30 }, (_, i) => events.slice(i * 10, (i + 1) * 10))
    let acknowledged = 0
    const sending = (async () => {
      for (const [number, pdus] of transactions.entries()) {
        await peer.send(victim, pdus, `kill.${number}`)
        acknowledged = number + 1
      }
    })().catch(() => {})
    await pollUntil('some are acknowledged', () => acknowledged >= 5)
    await victim.kill('SIGKILL')
    await sending
    expect(acknowledged).toBeLessThan(transactions.length)
    if (victim === survivor) await victim.restart()
    const user = asUser(survivor.url, {
      user_id: alice.userId,
      device_id: alice.deviceId,
      access_token: alice.accessToken,
    })
    const acked = transactions.slice(0, acknowledged).flat()
    await expectHeard(user, acked.at(-1)!)
    // Like a server without a response: repeats the transaction.
    for (let number = acknowledged; number < transactions.length; number++)
      await peer.send(survivor, transactions[number]!, `kill.${number}`)
    await expectHeard(user, events.at(-1)!)
    expect(await bodies(user, room)).toEqual(events.map(({ pdu }) => pdu.content.body))
  })
})

/** Sends to several processes in turn, in order. */
async function sendAll(peer: LyingServer, transactions: Event[][], to: readonly TestHearth[]): Promise<void> {
  for (const [number, pdus] of transactions.entries()) await peer.send(to[number % to.length]!, pdus)
}
