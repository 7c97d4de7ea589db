import type { TestUser } from '../harness/client.ts'
import { roomPath, v3 } from '../harness/rooms.ts'
import { UNSTABLE_SLIDING_SYNC } from '../harness/sliding-client.ts'

/** Sends a request as a bystander; a wrong response is recorded as a finding, and undefined is returned. */
// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
export type Expect = (user: TestUser, method: string, path: string, body?: object) => Promise<any>

export type Following = {
  user: TestUser
  expect: Expect
  /** The room whose messages are reported. */
  roomId: string
  /** Called for each event of that room. */
  see(eventId: string): void
}

const TIMEOUT_MS = 1_000
/** More than the events between two syncs. */
const TIMELINE = 200
const FILTER = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: TIMELINE } } }))
/** After this number of rounds, starts with an initial sync. */
const ROUNDS = 40
/** Further invites are rejected: they would be in each initial sync. */
const INVITES = 10

/** Runs rounds of sync v3; each returns whether there was a response. */
export function followBySync({ user, expect, roomId, see }: Following): () => Promise<boolean> {
  let since: string | undefined
  let rounds = 0
  const invited: string[] = []
  return async () => {
    if (++rounds % ROUNDS === 0) await expect(user, 'GET', `${v3}/sync?timeout=0`)
    const query = since ? `since=${since}&timeout=${TIMEOUT_MS}&filter=${FILTER}` : 'timeout=0'
    const body = await expect(user, 'GET', `${v3}/sync?${query}`)
    if (!body) return false
    since = body.next_batch
    const { events = [], limited, prev_batch } = body.rooms?.join?.[roomId]?.timeline ?? {}
    for (const { event_id } of events) see(event_id)
    if (limited) await lookBack({ user, expect, roomId, see }, prev_batch)
    invited.push(...Object.keys(body.rooms?.invite ?? {}))
    // The inviting server may respond in any way and at any time.
    if (invited.length > INVITES) user.ask('POST', roomPath(invited.shift()!, 'leave'), {}).catch(() => {})
    return true
  }
}

/** Reads the events before a limited timeline, as clients do: it ends where an event's predecessors are missing. */
async function lookBack({ user, expect, roomId, see }: Following, from: string): Promise<void> {
  const query = `dir=b&limit=${TIMELINE}&from=${encodeURIComponent(from)}`
  const page = await expect(user, 'GET', roomPath(roomId, `messages?${query}`))
  for (const { event_id } of page?.chunk ?? []) see(event_id)
}

/** Runs rounds of sliding sync with Element X's request; each returns whether there was a response. */
export function followBySlidingSync({ user, expect, roomId, see }: Following): () => Promise<boolean> {
  let pos: string | undefined
  let rounds = 0
  const enabled = { enabled: true }
  const body = {
    conn_id: 'bystander',
    lists: { all: { ranges: [[0, 20]], timeline_limit: 20, required_state: [['*', '*']] } },
    room_subscriptions: { [roomId]: { timeline_limit: TIMELINE, required_state: [['m.room.member', '$LAZY']] } },
    extensions: { to_device: enabled, e2ee: enabled, account_data: enabled, receipts: enabled, typing: enabled },
  }
  return async () => {
    if (++rounds % ROUNDS === 0) pos = undefined
    const query = pos ? `pos=${pos}&timeout=${TIMEOUT_MS}` : 'timeout=0'
    const answer = await expect(user, 'POST', `${UNSTABLE_SLIDING_SYNC}?${query}`, body)
    pos = answer?.pos
    const { timeline = [], limited, prev_batch } = answer?.rooms?.[roomId] ?? {}
    for (const { event_id } of timeline) see(event_id)
    if (limited) await lookBack({ user, expect, roomId, see }, prev_batch)
    return answer !== undefined
  }
}
