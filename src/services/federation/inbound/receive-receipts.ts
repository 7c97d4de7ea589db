import { z } from 'zod'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { serverNameOf } from '../../../core/ids.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { roomsOfRemoteUsers } from '../requests/rooms-of-remote-users.ts'
import { isServerAllowed } from '../trust/check-server-acl.ts'
import { eduEventId, eduRoomId, eduUserId } from '../trust/edu-fields.ts'
import { type ReceivedReceipt, storeReceivedReceipts } from './early-receipts.ts'
import type { ReceiveEdu } from './edu-app.ts'

const receipt = z.looseObject({
  event_ids: z.array(eduEventId).min(1).max(20),
  data: z.looseObject({ ts: z.number().optional(), thread_id: z.literal('main').or(eduEventId).optional() }).optional(),
})
const room = z.looseObject({ 'm.read': z.record(z.string(), z.unknown()).optional() })
const content = z.record(z.string(), room)

/** Maximum number of receipts processed per EDU. */
const MAX_RECEIPTS = 1000

/** Handles read receipts of remote users. https://spec.matrix.org/v1.19/server-server-api/#receipts */
export const receiveReceipts: ReceiveEdu = async (app, origin, received) => {
  const now = app.clock.now()
  const receipts = receiptsOf(received, now).filter((each) => serverNameOf(each.userId) === origin)
  const joined = await roomsOfRemoteUsers(app, origin, [...new Set(receipts.map((each) => each.userId))])
  const present = receipts.filter((each) => joined.of(each.userId).has(each.roomId))
  const rooms = [...new Set(present.map((each) => each.roomId))]
  const allowed = new Map(
    await Promise.all(rooms.map(async (id) => [id, await isServerAllowed(app, id, origin)] as const)),
  )
  const events = new Map(
    (
      await loadEventsById(
        app.database,
        present.map((each) => each.eventId),
      )
    ).map((event) => [event.event_id, event]),
  )
  const valid = present.filter((each) => allowed.get(each.roomId))
  await storeReceivedReceipts(app, valid, events)
  const early = valid.filter(({ eventId }) => events.get(eventId)?.event_order == null)
  if (early.length > 0) app.inbound.earlyReceipts.add(early)
}

/** Returns the last receipt of each user, room and thread. */
function receiptsOf(received: unknown, now: number): ReceivedReceipt[] {
  const receipts = new Map<string, ReceivedReceipt>()
  for (const [id, types] of Object.entries(content.parse(received))) {
    for (const [user, each] of Object.entries(types['m.read'] ?? {})) {
      const { data } = receipt.safeParse(each)
      if (!data || !eduRoomId.safeParse(id).success || !eduUserId.safeParse(user).success) continue
      if (receipts.size >= MAX_RECEIPTS) return [...receipts.values()]
      const threadId = data.data?.thread_id ?? ''
      receipts.set(`${id} ${user} ${threadId}`, {
        roomId: id as RoomId,
        userId: user as UserId,
        eventId: data.event_ids.at(-1)!,
        threadId,
        ts: timeOf(data.data?.ts, now),
      })
    }
  }
  return [...receipts.values()]
}

/** Returns an integer timestamp that is not in the future. */
function timeOf(ts: number | undefined, now: number): number {
  return Number.isSafeInteger(ts) ? Math.min(Math.max(ts!, 0), now) : now
}
