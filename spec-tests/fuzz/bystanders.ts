import type { TestUser } from '../harness/client.ts'
import { roomPath, v1, v3 } from '../harness/rooms.ts'
import type { Deliveries } from './deliveries.ts'
import type { Findings } from './findings.ts'
import { type Expect, followBySlidingSync, followBySync } from './followers.ts'
import type { FuzzWorld } from './fuzz-world.ts'

/** Users with typical requests of clients, which must always succeed. */
export type Bystanders = {
  /** Suggests a room of the fuzzer for Carol to join. */
  suggest(roomId: string): void
  /** Returns the numbers of successes. */
  counts(): Counts
  stop(): Promise<void>
}

type Counts = { syncs: number; messages: number; reads: number }

const PAUSE_MS = 500
const SYNC_PAUSE_MS = 50
/** Carol's maximum number of rooms. */
const VISITED = 6

export function startBystanders(world: FuzzWorld, findings: Findings, deliveries: Deliveries): Bystanders {
  const { alice, bob, carol, shared } = world
  const counts: Counts = { syncs: 0, messages: 0, reads: 0 }
  const suggested: string[] = []
  let isSpeaking = true
  let isFollowing = true
  const expect = expectOf(findings)
  const counted: Expect = async (...request) => {
    const body = await expect(...request)
    if (body) counts.syncs++
    return body
  }

  async function send(): Promise<void> {
    const path = roomPath(shared.roomId, `send/m.room.message/bystander${counts.messages}`)
    const answer = await expect(alice, 'PUT', path, { msgtype: 'm.text', body: `still here ${counts.messages}` })
    if (answer) deliveries.expect(answer.event_id, 'a message of a bystander', ['sync', 'sliding sync', 'federation'])
    counts.messages++
    deliveries.check()
  }

  const readings = readingsOf(world)
  async function read(): Promise<void> {
    const [user, method, path, body] = readings[counts.reads++ % readings.length]!
    await expect(user, method, path, body)
  }

  /** Joins a room of the fuzzer, and leaves the oldest one; the fuzzer decides whether she may. */
  const visited: string[] = []
  async function visit(): Promise<void> {
    const roomId = suggested.splice(0).at(-1)
    if (roomId && (await carol.ask('POST', roomPath(roomId, 'join'), {})).status === 200) visited.push(roomId)
    if (visited.length > VISITED) await carol.ask('POST', roomPath(visited.shift()!, 'leave'), {})
  }

  async function repeat(work: () => Promise<void>, { isOn, pause }: { isOn(): boolean; pause: number }): Promise<void> {
    while (isOn()) {
      await work()
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  const following = [bob, carol].flatMap((user) =>
    [followBySync, followBySlidingSync].map((followBy, i) => {
      const way = ['sync', 'sliding sync'][i]!
      const see = (eventId: string) => void (user === bob && deliveries.see(way, eventId))
      const follow = followBy({ user, expect: counted, roomId: shared.roomId, see })
      return async () => {
        if ((await follow()) && user === bob) deliveries.complete(way)
      }
    }),
  )
  const speaking = [send, read, () => visit().catch(() => {})].map((work) =>
    repeat(work, { isOn: () => isSpeaking, pause: PAUSE_MS }),
  )
  const followed = following.map((follow) => repeat(follow, { isOn: () => isFollowing, pause: SYNC_PAUSE_MS }))
  return {
    suggest: (roomId) => void suggested.push(roomId),
    counts: () => counts,
    async stop() {
      isSpeaking = false
      await Promise.all(speaking)
      // The last messages have to arrive, too.
      for (deliveries.check(); deliveries.pending() > 0; deliveries.check()) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
      isFollowing = false
      await Promise.all(followed)
    },
  }
}

function expectOf(findings: Findings): Expect {
  return async (user, method, path, body) => {
    const plain = path.split('?')[0]!.replaceAll(/(!|%21|%24)[^/]+/g, '{id}')
    const what = `a bystander's ${method} ${plain}`
    const request = `${method} ${path} ${JSON.stringify(body) ?? ''}`
    try {
      const answer = await user.ask(method, path, body)
      if (answer.status === 200) return answer.body
      const text = JSON.stringify(answer.body)
      findings.add({ kind: `${what} fails`, detail: `${request}: ${answer.status} ${text}` })
    } catch (error) {
      const how = /against the schema/.test(String(error)) ? 'is answered against the schema' : 'fails'
      findings.add({ kind: `${what} ${how}`, detail: `${request}: ${error}` })
    }
    return undefined
  }
}

type Reading = [user: TestUser, method: string, path: string, body?: object]

/** Returns client reads other than syncs, in the shared room and in Carol's rooms. */
function readingsOf({ alice, bob, carol, shared }: FuzzWorld): Reading[] {
  const { roomId } = shared
  const search = (search_term: string) => ({ search_categories: { room_events: { search_term, order_by: 'recent' } } })
  return [
    [bob, 'GET', roomPath(roomId, 'messages?dir=b&limit=30')],
    [bob, 'GET', roomPath(roomId, 'members')],
    [bob, 'GET', roomPath(roomId, 'state')],
    [bob, 'GET', roomPath(roomId, 'threads', v1)],
    [bob, 'GET', roomPath(roomId, 'joined_members')],
    [bob, 'GET', `${v3}/notifications?limit=20`],
    [carol, 'GET', `${v3}/notifications?limit=20`],
    [bob, 'POST', `${v3}/search`, search('still')],
    [carol, 'POST', `${v3}/search`, search('tea')],
    [bob, 'POST', `${v3}/keys/query`, { device_keys: { [alice.userId]: [], [carol.userId]: [] } }],
    [bob, 'POST', `${v3}/user_directory/search`, { search_term: 'fuzz' }],
    [bob, 'POST', `${v3}/publicRooms`, { limit: 20 }],
    [carol, 'GET', `${v3}/joined_rooms`],
    [bob, 'GET', `${v3}/pushrules/`],
    [bob, 'GET', `${v3}/devices`],
  ]
}
