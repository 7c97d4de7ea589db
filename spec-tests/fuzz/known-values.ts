import type { Draw } from './draw.ts'
import type { Kind } from './references.ts'

/** A user controlled by the fuzzer: of the homeserver, or of another one (`peer`). */
export type Actor = {
  role: 'user' | 'guest' | 'admin' | 'appservice' | 'peer'
  userId: string
  deviceId: string
  token: string
}

/** A room of the homeserver that the fuzzer can name. */
export type KnownRoom = { roomId: string; version: string; events: string[]; members: Set<string> }

/** Kinds that have a meaning only for the user who got them. */
export const PERSONAL: readonly Kind[] = [
  'backup version',
  'delay',
  'device',
  'filter',
  'pos',
  'refresh token',
  'sequence token',
  'tag',
  'to-device token',
]

/**
 * The values that a lane has learnt from responses; only the latest of each kind, to bound its size and keep it fresh.
 */
export type KnownValues = {
  learn(kind: Kind, value: string): void
  /** Returns one known value; the latest is the likeliest. */
  recall(kind: Kind, draw: Draw): string | undefined
  rooms: KnownRoom[]
  /** Records an event of a known room. */
  learnEvent(roomId: string, eventId: string): void
}

const KEPT = 24
const EVENTS_KEPT = 60

export function createKnownValues(): KnownValues {
  const values = new Map<Kind, string[]>()
  const rooms: KnownRoom[] = []
  return {
    rooms,
    learn(kind, value) {
      const known = values.get(kind) ?? []
      values.set(kind, known)
      if (known.includes(value)) return
      known.push(value)
      if (known.length > KEPT) known.shift()
    },
    recall(kind, draw) {
      const known = values.get(kind)
      if (!known || known.length === 0) return undefined
      return draw.happens(0.6) ? known.at(-1) : draw.pick(known)
    },
    learnEvent(roomId, eventId) {
      const events = rooms.find((room) => room.roomId === roomId)?.events
      if (!events || events.includes(eventId)) return
      events.push(eventId)
      if (events.length > EVENTS_KEPT) events.splice(1, 1)
    },
  }
}
