import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
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
import type { PusherRow, PushQueueRow } from '../../storage/schema/notifications.ts'
import { filterNotifiable } from './judge-events.ts'
import { badgeMessage, eventMessage } from './push-message.ts'
import { unreadTotal } from './unread-counts.ts'

export type SendCapabilities = Pick<
  App,
  'config' | 'database' | 'stream' | 'clock' | 'random' | 'logger' | 'stopping' | 'http' | 'rateLimiter'
>

/** So many are sent to at a time, and so many of one user: gateways that are slow hold up nobody else. */
const PUSHERS_AT_ONCE = 100
const PUSHERS_OF_USER = 5
const PAGE = 50
/** After that it is another pusher's turn. */
const TURN_MS = 10_000
const REQUEST_TIMEOUT_MS = 10_000
/** Longer than any request: while a process sends, no other one may. When it dies, another goes on after this. */
const LEASE_MS = 30_000
const BACK_OFF = { first: 1000, longest: 60 * 60_000 }
/** Who is told more than their share hears the rest a little later. */
const SHARE_REST_MS = 3000
/** Older news is no news. */
const GIVE_UP_MS = 24 * 60 * 60_000

/** Sends what waits for pushers that no other process sends to; those that fail rest for a while. */
export type PushSender = {
  /**
   * Begins to send to those that are due, as far as there is room; `onTurnEnd` is called whenever there is room for
   * another.
   */
  begin(onTurnEnd: () => void): Promise<void>
  /** Resolves when no request is under way. */
  ended(): Promise<void>
}

export function createPushSender(app: SendCapabilities): PushSender {
  /** Users by what is under way for them. */
  const underWay = new Map<Promise<void>, UserId>()

  function usersWithShare(): UserId[] {
    const byUser = Map.groupBy(underWay.values(), (userId) => userId)
    return [...byUser].flatMap(([userId, turns]) => (turns.length >= PUSHERS_OF_USER ? userId : []))
  }

  return {
    async begin(onTurnEnd) {
      const limit = PUSHERS_AT_ONCE - underWay.size
      if (limit <= 0 || app.stopping.aborted) return
      const now = app.clock.now()
      const due = { now, until: now + LEASE_MS, limit, ofUser: PUSHERS_OF_USER, except: usersWithShare() }
      for (const pusher of await app.database.write((tx) => leaseDuePushers(tx, due))) {
        const turn = sendInTurn(app, pusher).finally(() => {
          underWay.delete(turn)
          onTurnEnd()
        })
        underWay.set(turn, pusher.user_id)
      }
    },
    async ended() {
      await Promise.all(underWay.keys())
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
    app.logger.info({ err: error, app_id: pusher.app_id }, 'notifying a push gateway failed; it is tried again')
    const now = app.clock.now()
    const retryAt = now + jitteredBackOff(pusher.failures, BACK_OFF, app.random)
    await release(app, pusher, { retryAt, dropBefore: now - GIVE_UP_MS })
  }
}

/** Another process sends to a pusher that cannot be given back, once the lease has ended. */
async function release(
  { database, logger }: SendCapabilities,
  { pusher_nid }: PusherRow,
  rest: PusherRest,
): Promise<void> {
  await database
    .write((tx) => releasePusher(tx, pusher_nid, rest))
    .catch((error) => logger.warn({ err: error }, 'a pusher could not be given back'))
}

async function sendWaiting(app: SendCapabilities, pusher: PusherRow): Promise<void> {
  const end = app.clock.now() + TURN_MS
  let told = pusher.told_unread
  for (const push of await loadPushQueue(app.database, pusher, PAGE)) {
    if (app.stopping.aborted || app.clock.now() > end) return
    const unread = push.is_read ? undefined : await sendOne(app, pusher, { push, told })
    told = unread ?? told
    await app.database.write((tx) => finishPush(tx, push, { until: app.clock.now() + LEASE_MS, unread }))
  }
}

/**
 * Sends one thing; returns the unread count that was told, undefined when there was nothing to tell. Rejects when the
 * gateway does not take it, or the user is sent too much.
 */
async function sendOne(
  app: SendCapabilities,
  pusher: PusherRow,
  { push, told }: { push: PushQueueRow; told: number | null },
): Promise<number | undefined> {
  const unread = await unreadTotal(app, pusher.user_id)
  const message = await messageOf(app, pusher, { push, told, unread })
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
  { push, told, unread }: { push: PushQueueRow; told: number | null; unread: number },
): Promise<object | undefined> {
  if (push.event_nid === null) return (told ?? 0) === unread ? undefined : badgeMessage(pusher, unread)
  const found = await loadEvents(app.database, [push.event_nid])
  const [event] = await filterNotifiable(app, pusher.user_id, [...found.values()])
  if (!event) return undefined
  return eventMessage(app.database, pusher, { push, event, unread })
}

/** Gateways answer with the keys that are no longer valid. */
function rejects(body: unknown, pushkey: string): boolean {
  const rejected = typeof body === 'object' && body !== null && 'rejected' in body ? body.rejected : []
  return Array.isArray(rejected) && rejected.includes(pushkey)
}
