import type { UserId } from '../../core/ids.ts'
import type { PushVerdict } from '../../core/push-rules/verdict.ts'
import type { OwnRead } from '../../storage/push/notifications.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'

/** An event that notifies a user. */
export type UnreadEvent = {
  event_order: number
  event_nid: number
  thread_id: string
  highlight: boolean
  /** JSON of the push rule's actions. */
  actions: string
}

/** A user's unread events in a room. Immutable: a later state is another object. */
export type UnreadRoom = {
  /** event_order of the last evaluated event. */
  readonly upTo: number
  readonly unread: readonly UnreadEvent[]
  /** Results that are not stored yet. */
  readonly unstored: {
    readonly judged: number
    readonly notifying: readonly UnreadEvent[]
    readonly ownReads: readonly OwnRead[]
  }
}

export const NOTHING_UNSTORED: UnreadRoom['unstored'] = { judged: 0, notifying: [], ownReads: [] }

/** An event and the push rules' verdict. */
export type JudgedEvent = {
  event: StoredEvent
  /** Its thread, if that matters. */
  thread: string
  verdict: PushVerdict
  /** Whether the user joins or leaves the room by it. */
  crossing: boolean
}

/**
 * Adds further events of the room, oldest first. An event of the user reads its thread up to it; joining and leaving
 * reads everything. https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
 */
export function withEvents(
  room: UnreadRoom,
  userId: UserId,
  { events, last }: { events: readonly JudgedEvent[]; last: number },
): UnreadRoom {
  const notifying: UnreadEvent[] = []
  const ownReads: OwnRead[] = []
  let unread = [...room.unread]
  for (const { event, thread, verdict, crossing } of events) {
    const read = crossing ? { thread_id: '', event_order: event.event_order! } : ownReadOf(event, userId, thread)
    if (read) {
      ownReads.push(read)
      unread = unread.filter((each) => read.thread_id !== '' && each.thread_id !== read.thread_id)
    } else if (verdict.notify) {
      const one = unreadEvent(event, thread, verdict)
      notifying.push(one)
      unread.push(one)
    }
  }
  const { unstored } = room
  return {
    upTo: Math.max(room.upTo, last),
    unread,
    unstored: {
      judged: unstored.judged + events.length,
      notifying: [...unstored.notifying, ...notifying],
      ownReads: [...unstored.ownReads, ...ownReads],
    },
  }
}

function ownReadOf({ pdu, event_order }: StoredEvent, userId: UserId, thread: string): OwnRead | undefined {
  // A changed name does not mean that the user has read the room.
  if (pdu.sender !== userId || pdu.type === 'm.room.member') return undefined
  return { thread_id: thread, event_order: event_order! }
}

function unreadEvent(event: StoredEvent, thread: string, { highlight, actions }: PushVerdict): UnreadEvent {
  return {
    event_order: event.event_order!,
    event_nid: event.event_nid,
    thread_id: thread,
    highlight,
    actions: JSON.stringify(actions),
  }
}

/** Unread notifications in the format of /sync. */
export type UnreadCount = { notification_count: number; highlight_count: number }

/** Returns the counts of each thread that has any, the main timeline as `main`. */
export function countByThread({ unread }: UnreadRoom): Map<string, UnreadCount> {
  const counts = new Map<string, UnreadCount>()
  for (const { thread_id, highlight } of unread) {
    const count = counts.get(thread_id) ?? { notification_count: 0, highlight_count: 0 }
    counts.set(thread_id, count)
    count.notification_count++
    if (highlight) count.highlight_count++
  }
  return counts
}
