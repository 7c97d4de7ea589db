import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { type ActiveWork, createActiveWork } from '../../infra/concurrency/active-work.ts'
import { jitteredBackOff } from '../../infra/concurrency/back-off.ts'
import {
  finishPush,
  leaseDuePushers,
  loadPushQueue,
  type PusherRest,
  releasePusher,
} from '../../storage/push/push-queue.ts'
import { deletePushers } from '../../storage/push/pushers.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import type { PusherRow, PushQueueRow } from '../../storage/schema/push.ts'
import { filterNotifiable } from './judge-events.ts'
import { badgeMessage, eventMessage } from './push-message.ts'
import { unreadTotal } from './unread-counts.ts'

export type SendCapabilities = Pick<
  App,
  'config' | 'database' | 'stream' | 'clock' | 'random' | 'logger' | 'stopping' | 'http' | 'rateLimiter' | 'push'
>

/** Concurrent pushers, in total and per user: slow gateways delay nobody else. */
const PUSHERS_AT_ONCE = 100
const PUSHERS_OF_USER = 5
const PAGE = 50
/** After this time it is another pusher's turn. */
const TURN_MS = 10_000
const REQUEST_TIMEOUT_MS = 10_000
/** Longer than any request: the lease of a process that sends. When it dies, another takes over. */
const LEASE_MS = 30_000
const BACK_OFF = { first: 1000, longest: 60 * 60_000 }
/** Delay for users above their share. */
const SHARE_REST_MS = 3000
/** Older notifications are dropped. */
const GIVE_UP_MS = 24 * 60 * 60_000

/** Drains the queues of pushers that no other process has leased; failed ones back off. */
export type PushSender = {
  /** Starts sending to due pushers, up to the limit; `onTurnEnd` is called whenever a place is free. */
  begin(onTurnEnd: () => void): Promise<void>
  /** The turns of pushers, and their users. */
  readonly active: ActiveWork<PusherRow, UserId>
}

export function createPushSender(app: SendCapabilities): PushSender {
  const active: ActiveWork<PusherRow, UserId> = createActiveWork()

  function usersWithShare(): UserId[] {
    const byUser = Map.groupBy(active.abouts(), (userId) => userId)
    return [...byUser].flatMap(([userId, turns]) => (turns.length >= PUSHERS_OF_USER ? userId : []))
  }

  return {
    active,
    async begin(onTurnEnd) {
      const limit = PUSHERS_AT_ONCE - active.size
      if (limit <= 0 || app.stopping.aborted) return
      const now = app.clock.now()
      const due = { now, until: now + LEASE_MS, limit, ofUser: PUSHERS_OF_USER, except: usersWithShare() }
      for (const pusher of await app.database.write((tx) => leaseDuePushers(tx, due))) {
        active.begin(pusher, pusher.user_id, () => sendInTurn(app, pusher))
        active.ended(pusher)?.then(onTurnEnd)
      }
    },
  }
}

async function sendInTurn(app: SendCapabilities, pusher: PusherRow): Promise<void> {
  try {
    await sendWaiting(app, pusher)
    await release(app, pusher, { retryAt: app.clock.now() })
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_LIMIT_EXCEEDED')
      return release(app, pusher, { retryAt: app.clock.now() + SHARE_REST_MS })
    app.logger.info({ err: error, app_id: pusher.app_id }, 'push gateway request failed, will retry')
    const now = app.clock.now()
    const retryAt = now + jitteredBackOff(pusher.failures, BACK_OFF, app.random)
    await release(app, pusher, { retryAt, dropBefore: now - GIVE_UP_MS })
  }
}

/** If the lease cannot be released, another process takes over once it expires. */
async function release(
  { database, logger }: SendCapabilities,
  { pusher_nid }: PusherRow,
  rest: PusherRest,
): Promise<void> {
  await database
    .write((tx) => releasePusher(tx, pusher_nid, rest))
    .catch((error) => logger.warn({ err: error }, 'release of pusher lease failed, lease will expire'))
}

async function sendWaiting(app: SendCapabilities, pusher: PusherRow): Promise<void> {
  const end = app.clock.now() + TURN_MS
  let sentUnread = pusher.sent_unread
  for (const push of await loadPushQueue(app.database, pusher, PAGE)) {
    if (app.stopping.aborted || app.clock.now() > end) return
    const unread = push.is_read ? undefined : await sendOne(app, pusher, { push, sentUnread })
    sentUnread = unread ?? sentUnread
    await app.database.write((tx) => finishPush(tx, push, { until: app.clock.now() + LEASE_MS, unread }))
  }
}

/**
 * Sends one push, and returns the unread count that was sent; undefined if there was nothing to send. Rejects if the
 * gateway refuses it, or the user exceeds their share.
 */
async function sendOne(
  app: SendCapabilities,
  pusher: PusherRow,
  { push, sentUnread }: { push: PushQueueRow; sentUnread: number | null },
): Promise<number | undefined> {
  const unread = await unreadTotal(app, pusher.user_id)
  const message = await messageOf(app, pusher, { push, sentUnread, unread })
  if (!message) return undefined
  await app.rateLimiter.take('push', pusher.user_id)
  const bounds = { timeoutMs: REQUEST_TIMEOUT_MS, signal: app.stopping }
  const answer = await app.http.postJson(JSON.parse(pusher.data).url, message, bounds)
  if (answer.status < 200 || answer.status > 299) throw new Error(`the push gateway answered ${answer.status}`)
  if (rejects(answer.body, pusher.pushkey)) await app.database.write((tx) => deletePushers(tx, pusher, 'everyone'))
  return unread
}

async function messageOf(
  app: SendCapabilities,
  pusher: PusherRow,
  { push, sentUnread, unread }: { push: PushQueueRow; sentUnread: number | null; unread: number },
): Promise<object | undefined> {
  if (push.event_nid === null) return (sentUnread ?? 0) === unread ? undefined : badgeMessage(pusher, unread)
  const found = await loadEvents(app.database, [push.event_nid])
  const [event] = await filterNotifiable(app, pusher.user_id, [...found.values()])
  if (!event) return undefined
  return eventMessage(app.database, pusher, { push, event, unread })
}

/** Gateways list rejected pushkeys in the response. */
function rejects(body: unknown, pushkey: string): boolean {
  const rejected = typeof body === 'object' && body !== null && 'rejected' in body ? body.rejected : []
  return Array.isArray(rejected) && rejected.includes(pushkey)
}
