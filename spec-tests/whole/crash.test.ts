import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { asUser, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

/** How often the server is killed; `CRASH_ROUNDS=50` for the long run. */
const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 5)
const CLIENTS = 8

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

type Sent = { txnId: string; eventId: string | undefined }

/** Sends until the server is dead; the last entry may lack its response. */
async function sendUntilKilled(user: TestUser, roomId: string, round: string): Promise<Sent[]> {
  const sent: Sent[] = []
  for (let i = 0; ; i++) {
    const entry: Sent = { txnId: `${round}.${i}`, eventId: undefined }
    sent.push(entry)
    try {
      entry.eventId = await sendText(user, roomId, entry.txnId, entry.txnId)
    } catch {
      return sent
    }
  }
}

/**
 * Syncs from a token until there are no changes, and returns the IDs of the room's events, with gaps filled by
 * /messages.
 */
async function syncAll(user: TestUser, roomId: string, since: string): Promise<{ ids: string[]; token: string }> {
  const ids: string[] = []
  let token = since
  for (;;) {
    const answer = await user.get(`/_matrix/client/v3/sync?timeout=0&since=${encodeURIComponent(token)}`)
    const timeline = answer.rooms?.join?.[roomId]?.timeline
    if (!timeline || timeline.events.length === 0) return { ids, token: answer.next_batch }
    const page = timeline.events.map((event: { event_id: string }) => event.event_id)
    if (timeline.limited) ids.push(...(await between(user, roomId, { from: timeline.prev_batch, to: token })))
    ids.push(...page)
    token = answer.next_batch
  }
}

async function between(user: TestUser, roomId: string, range: { from: string; to: string }): Promise<string[]> {
  const ids: string[] = []
  let from: string | undefined = range.from
  while (from !== undefined) {
    const query = new URLSearchParams({ dir: 'b', limit: '500', from, to: range.to })
    const answer: { chunk: { event_id: string }[]; end?: string } = await user.get(
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?${query}`,
    )
    ids.unshift(...answer.chunk.map((event) => event.event_id).reverse())
    from = answer.chunk.length > 0 ? answer.end : undefined
  }
  return ids
}

describe.each(['pglite', 'postgresql'])('on %s', (database) => {
  let hearth: TestHearth
  beforeAll(async () => {
    hearth = await startHearth(database === 'postgresql' ? { databaseUrl: await postgres.createDatabase() } : {})
  })
  afterAll(() => hearth.dispose())

  test(
    `kill -9 while ${CLIENTS} clients send, ${ROUNDS} times: no acknowledged event is lost or doubled`,
    async () => {
      const reader = await registerUser(hearth.url)
      const senders = await Promise.all(Array.from({ length: CLIENTS }, () => registerUser(hearth.url)))
      const { room_id: roomId } = await reader.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
      for (const sender of senders) await sender.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
      let { next_batch: token } = await reader.get('/_matrix/client/v3/sync?timeout=0')
      let acknowledged = 0

      for (let round = 0; round < ROUNDS; round++) {
        const sending = senders.map((sender, number) => sendUntilKilled(sender, roomId, `${round}.${number}`))
        await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 700))
        await hearth.kill('SIGKILL')
        const sent = await Promise.all(sending)
        await hearth.restart()

        for (const [number, entries] of sent.entries()) {
          const sender = asUser(hearth.url, {
            user_id: senders[number]!.userId,
            device_id: senders[number]!.deviceId,
            access_token: senders[number]!.accessToken,
          })
          // A client without a response retries; so does one with a response here: the event must be the same.
          for (const entry of [...entries.slice(-3), entries[0]!]) {
            const again = await sendText(sender, roomId, entry.txnId, entry.txnId)
            if (entry.eventId !== undefined) expect(again).toBe(entry.eventId)
            entry.eventId = again
          }
        }
        const { ids, token: next } = await syncAll(reader, roomId, token)
        token = next
        const wanted = sent.flatMap((entries) => entries.map((entry) => entry.eventId!))
        acknowledged += wanted.length
        expect(new Set(ids).size, 'no event comes twice').toBe(ids.length)
        expect([...ids].sort(), 'sync has every acknowledged event and nothing else').toEqual([...wanted].sort())
      }
      expect(acknowledged).toBeGreaterThan(ROUNDS * CLIENTS)
    },
    ROUNDS * 60_000,
  )
})
