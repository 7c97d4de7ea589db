import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import type { NewEvent } from './draft-event.ts'

/** Commands take up what they had approved at once; what they do not take up is forgotten. */
const KEPT = 1000
const KEPT_MS = 60_000

/** Signed events by room that are not stored yet. By process, for which its key stands. */
const approvals = new WeakMap<App['signingKey'], LRUCache<RoomId, Event[]>>()

/** Keeps an event that the policy server of its room has signed, for the command that wants to send it. */
export function noteApproved(app: Pick<App, 'signingKey'>, event: Event): void {
  const kept = approvalsOf(app)
  const roomId = event.room_id as RoomId
  kept.set(roomId, [...(kept.get(roomId) ?? []), event])
}

/** An approved event that is what a command wants to send; it is not given out a second time. */
export function takeApproved(app: Pick<App, 'signingKey'>, roomId: RoomId, wanted: NewEvent): Event | undefined {
  const kept = approvals.get(app.signingKey)?.get(roomId)
  const found = kept?.find(({ pdu }) => isSame(pdu, wanted))
  if (!kept || !found) return undefined
  approvalsOf(app).set(
    roomId,
    kept.filter((approved) => approved !== found),
  )
  return found
}

function isSame(made: Pdu, { type, state_key, sender, content, redacts }: NewEvent): boolean {
  if (made.type !== type || made.state_key !== state_key || made.sender !== sender) return false
  if (redacts === undefined) return isDeepStrictEqual(made.content, content)
  // Where a redaction names its event depends on the room version.
  const { redacts: within, ...rest } = made.content
  return (made.redacts ?? within) === redacts && isDeepStrictEqual(rest, content)
}

function approvalsOf({ signingKey }: Pick<App, 'signingKey'>): LRUCache<RoomId, Event[]> {
  return madeOnce(approvals, signingKey, () => new LRUCache({ max: KEPT, ttl: KEPT_MS }))
}
