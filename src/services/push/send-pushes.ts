import type { App } from '../../app.ts'
import { loadEvents } from '../../storage/events.ts'
import type { PusherRow, PushQueueRow } from '../../storage/notifications-schema.ts'
import { finishPush, leaseDuePushers, loadPushQueue, releasePusher } from '../../storage/push-queue.ts'
import { deletePushers } from '../../storage/pushers.ts'
import { filterNotifiable } from './judge-events.ts'
import { badgeMessage, eventMessage } from './push-message.ts'
import { unreadTotal } from './unread-counts.ts'

export type SendCapabilities = Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'logger' | 'stopping' | 'http'>

const PUSHERS_AT_ONCE = 20
const PAGE = 50
const REQUEST_TIMEOUT_MS = 10_000
/** Longer than any request: while a process sends, no other one may. When it dies, another goes on after this. */
const LEASE_MS = 30_000
const FIRST_RETRY_MS = 1000
const LONGEST_REST_MS = 60 * 60_000
/** Older news is no news. */
const GIVE_UP_MS = 24 * 60 * 60_000

/** Sends what waits for pushers that no other process sends to, until nothing does; those that fail rest for a while. */
export async function sendPushes(app: SendCapabilities): Promise<void> {
  for (;;) {
    if (app.stopping.aborted) return
    const now = app.clock.now()
    const until = now + LEASE_MS
    const pushers = await app.database.write((tx) => leaseDuePushers(tx, { now, until, limit: PUSHERS_AT_ONCE }))
    if (pushers.length === 0) return
    await Promise.all(pushers.map((pusher) => sendAll(app, pusher)))
  }
}

async function sendAll(app: SendCapabilities, pusher: PusherRow): Promise<void> {
  try {
    let told = pusher.told_unread
    for (;;) {
      const waiting = await loadPushQueue(app.database, pusher, PAGE)
      if (waiting.length === 0 || app.stopping.aborted) break
      for (const push of waiting) {
        const unread = push.is_read ? undefined : await sendOne(app, pusher, { push, told })
        told = unread ?? told
        await app.database.write((tx) => finishPush(tx, push, { until: app.clock.now() + LEASE_MS, unread }))
      }
    }
    await app.database.write((tx) => releasePusher(tx, pusher.pusher_nid))
  } catch (error) {
    app.logger.info({ err: error, app_id: pusher.app_id }, 'notifying a push gateway failed; it is tried again')
    await restAfterFailure(app, pusher)
  }
}

async function restAfterFailure(app: SendCapabilities, pusher: PusherRow): Promise<void> {
  const now = app.clock.now()
  const retryAt = now + Math.min(FIRST_RETRY_MS * 2 ** Math.min(pusher.failures, 20), LONGEST_REST_MS)
  await app.database.write((tx) => releasePusher(tx, pusher.pusher_nid, { retryAt, dropBefore: now - GIVE_UP_MS }))
}

/** Sends one thing; returns the unread count that was told, undefined when there was nothing to tell. Rejects when the gateway does not take it. */
async function sendOne(
  app: SendCapabilities,
  pusher: PusherRow,
  { push, told }: { push: PushQueueRow; told: number | null },
): Promise<number | undefined> {
  const unread = await unreadTotal(app, pusher.user_id)
  const message = await messageOf(app, pusher, { push, told, unread })
  if (!message) return undefined
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
