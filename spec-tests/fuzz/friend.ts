import type { Pdu } from '../../testing/matrix/pdu.ts'
import type { LyingServer } from '../harness/lying-server.ts'
import { visitRoom } from '../harness/visit-room.ts'
import type { Findings } from './findings.ts'
import type { FuzzWorld } from './fuzz-world.ts'

/** A well-behaved server: its messages in the shared room must arrive, and messages there must reach it. */
export type Friend = { stop(): Promise<void>; count(): number }

const PAUSE_MS = 1_000
const KEPT_EVENTS = 600

/**
 * `said` is called for each message that the friend sends, `heard` for each event that it receives, `received` for each
 * transaction, after its events.
 */
export async function startFriend(
  { world, friend, findings }: { world: FuzzWorld; friend: LyingServer; findings: Findings },
  { said, heard, received }: { said(eventId: string): void; heard(eventId: string): void; received(): void },
): Promise<Friend> {
  const { room } = await visitRoom(friend, world.home, { roomId: world.shared.roomId })
  let isStopping = false
  let count = 0
  friend.lie('send', (asked) => {
    for (const pdu of (asked.body as { pdus: Pdu[] }).pdus ?? []) {
      if (pdu.room_id !== world.shared.roomId) continue
      const event = room.take(pdu)
      heard(event.event_id)
    }
    received()
    room.trim(KEPT_EVENTS)
    friend.asked.length = 0
    return { pdus: {} }
  })

  async function speak(): Promise<void> {
    while (!isStopping) {
      const event = room.add({ content: { msgtype: 'm.text', body: `from a friend ${count++}` } })
      try {
        const results = await friend.send(world.home, [event])
        const error = results[event.event_id]?.error
        if (error) findings.add({ kind: 'a proper event of another server is refused', detail: error })
        else said(event.event_id)
      } catch (error) {
        findings.add({ kind: "a proper server's transaction fails", detail: String(error) })
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  const speaking = speak()
  return {
    count: () => count,
    async stop() {
      isStopping = true
      await speaking
    },
  }
}
