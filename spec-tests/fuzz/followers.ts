import type { TestUser } from '../harness/client.ts'
import { roomPath, v3 } from '../harness/rooms.ts'
import { UNSTABLE_SLIDING_SYNC } from '../harness/sliding-client.ts'

/** Asks as a bystander: what is not answered as it must be is noted, and undefined comes back. */
// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
export type Expect = (user: TestUser, method: string, path: string, body?: object) => Promise<any>

export type Following = {
  user: TestUser
  expect: Expect
  /** The room whose messages are told of. */
  roomId: string
  /** Told of each event of that room. */
  see(eventId: string): void
}

const TIMEOUT_MS = 1_000
/** Longer than what happens between two syncs. */
const TIMELINE = 200
const FILTER = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: TIMELINE } } }))
/** After as many rounds one begins from nothing. */
const ROUNDS = 40
/** More invites are refused: they would be in each first sync. */
const INVITES = 10

/** One round of sync v3 after the other; each tells whether it was answered. */
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
    // The server that invited answers as it likes, and when.
    if (invited.length > INVITES) user.ask('POST', roomPath(invited.shift()!, 'leave'), {}).catch(() => {})
    return true
  }
}

/**
 * Reads what is before a timeline that is not whole, as clients do: it ends where an event follows some that are not
 * here.
 */
async function lookBack({ user, expect, roomId, see }: Following, from: string): Promise<void> {
  const query = `dir=b&limit=${TIMELINE}&from=${encodeURIComponent(from)}`
  const page = await expect(user, 'GET', roomPath(roomId, `messages?${query}`))
  for (const { event_id } of page?.chunk ?? []) see(event_id)
}

/** One round of sliding sync after the other, asking for what Element X does; each tells whether it was answered. */
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
