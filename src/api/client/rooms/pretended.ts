import type { App } from '../../../app.ts'

/** The length of the hash in an event ID. */
const HASH_BYTES = 32
const DELAY_ID_LENGTH = 32

type Random = Pick<App, 'random'>

/** Returns what a shadow-banned user is told about an event that is not sent, or not scheduled. */
export function pretendedEvent(
  { random }: Random,
  { 'org.matrix.msc4140.delay': delay }: { 'org.matrix.msc4140.delay'?: number | undefined } = {},
): object {
  if (delay !== undefined) return { delay_id: random.token(DELAY_ID_LENGTH) }
  return { event_id: `$${random.bytes(HASH_BYTES).toString('base64url')}` }
}

/** Changes of the user's own membership that reach the room. A join by this way may be a change of the name. */
const SENT: readonly unknown[] = ['leave', 'knock']

/** As `pretendedEvent`, for state; undefined: it is sent. */
export function pretendedState(
  app: Random,
  event: { type: string; isOwn: boolean; membership: unknown; delay?: number | undefined },
): object | undefined {
  const isSent = event.type === 'm.room.member' && event.isOwn && SENT.includes(event.membership)
  if (isSent && event.delay === undefined) return undefined
  return pretendedEvent(app, { 'org.matrix.msc4140.delay': event.delay })
}
