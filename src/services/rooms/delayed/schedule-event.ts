import type { App } from '../../../app.ts'
import { BadJsonError, ForbiddenError, MatrixError } from '../../../core/errors.ts'
import { checkFieldSizes, checkTotalSize } from '../../../core/events/size-limits.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import { requireTotal } from '../../../core/limits.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import {
  countScheduled,
  findDelayedTransaction,
  forgetFinalisedEvents,
  insertDelayedEvent,
  type NewDelayedEvent,
} from '../../../storage/rooms/delayed-events.ts'
import { lockUser } from '../../../storage/users/users.ts'

/** An event to schedule. */
export type EventToDelay = {
  roomId: RoomId
  sender: UserId
  deviceId: DeviceId | null
  type: string
  /** Present: a state event. */
  stateKey?: string
  content: JsonObject
  /** Milliseconds. */
  delay: number
  /** As for `EventToSend`; of state events, it has no effect. */
  sticky?: number
  /** The client's transaction ID, for which the event is scheduled once. Absent: each call schedules an event. */
  txnId?: string
  /** As for `EventToSend`. */
  isAdmin?: boolean
}

/** 32 letters and digits are unguessable: the ID is the permission to send, restart or cancel the event. */
const DELAY_ID_LENGTH = 32
const FINALISED_KEPT_MS = 7 * 24 * 60 * 60_000
const FINALISED_KEPT = 100

/**
 * Schedules an event to be sent after a delay, and returns its `delay_id`. Permission is checked only when it is sent.
 * Throws M_FORBIDDEN if delayed events are disabled, M_UNKNOWN for a delay that is too long, M_LIMIT_EXCEEDED,
 * M_BAD_JSON, M_TOO_LARGE.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function scheduleEvent(
  app: Pick<App, 'config' | 'database' | 'clock' | 'random'>,
  { roomId, sender, deviceId, type, stateKey, content, delay, sticky, txnId, isAdmin = false }: EventToDelay,
): Promise<string> {
  requireDelay(app, delay)
  requireSendable({ type, stateKey, content, txnId })
  const now = app.clock.now()
  const event: NewDelayedEvent = {
    delay_id: app.random.token(DELAY_ID_LENGTH),
    user_id: sender,
    device_id: deviceId ?? '',
    room_id: roomId,
    type,
    state_key: stateKey ?? null,
    content: JSON.stringify(content),
    sticky_ms: sticky ?? null,
    delay_ms: delay,
    since_ts: now,
    txn_id: txnId ?? null,
    as_admin: isAdmin,
  }
  return app.database.write(async (tx) => {
    await lockUser(tx, sender)
    const repeated = txnId === undefined ? undefined : await findDelayedTransaction(tx, event)
    if (repeated !== undefined) return repeated
    const { delayed_events: bytes } = app.config.limits.totals
    await forgetFinalisedEvents(tx, { userId: sender, before: now - FINALISED_KEPT_MS, keep: FINALISED_KEPT, bytes })
    await requireRoomForOneMore(tx, app.config, event)
    await insertDelayedEvent(tx, event)
    return event.delay_id
  })
}

/** matrix-js-sdk expects this error. */
function requireDelay({ config }: Pick<App, 'config'>, delay: number): void {
  const { max_delay: maxDelay } = config.delayed_events
  if (maxDelay === 0) throw new ForbiddenError('Events cannot be delayed on this server')
  if (delay <= maxDelay) return
  throw new MatrixError(400, 'M_UNKNOWN', `The longest delay is ${maxDelay} ms`, {
    'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED',
    'org.matrix.msc4140.max_delay': maxDelay,
  })
}

type SendableParts = Pick<EventToDelay, 'type' | 'content'> & {
  stateKey: string | undefined
  txnId: string | undefined
}

/** Rejects immediately what could never be sent. */
function requireSendable(event: SendableParts): void {
  const { type, stateKey, content, txnId } = event
  if ([type, stateKey ?? '', txnId ?? ''].some((text) => text.includes('\0'))) {
    throw new BadJsonError('A type, state key or transaction id must not contain NUL')
  }
  checkFieldSizes({ type, ...(stateKey !== undefined && { state_key: stateKey }) })
  checkTotalSize(Buffer.byteLength(canonicalJson(content)))
}

async function requireRoomForOneMore(
  tx: Tx,
  { delayed_events: { max_scheduled: maximum }, limits }: App['config'],
  { user_id, content, since_ts: now }: NewDelayedEvent,
): Promise<void> {
  const { count, bytes, firstDue } = await countScheduled(tx, user_id)
  requireTotal(limits, 'delayed_events', bytes + Buffer.byteLength(content))
  if (count < maximum) return
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', `Only ${maximum} events can be scheduled at a time`, {
    retry_after_ms: Math.max(1, (firstDue ?? now) - now),
  })
}
