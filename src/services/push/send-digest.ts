import type { App } from '../../app.ts'
import { backOff } from '../../infra/concurrency/back-off.ts'
import {
  type EmailPusher,
  findEmailPusher,
  finishDigest,
  loadOpenInvites,
  loadWaiting,
} from '../../storage/push/email-digests.ts'
import { hasUnreadBefore, loadUnreadAmong } from '../../storage/push/notifications.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import type { PushQueueRow } from '../../storage/schema/push.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { digestMail } from './digest-mail.ts'
import { filterNotifiable } from './judge-events.ts'
import { storeUnread } from './unread-counts.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'random' | 'mailer' | 'serverName' | 'push'>

/** Maximum number of events per mail; more are in the next. */
const MOST_EVENTS = 200

/**
 * Mails a user the events that have been unread for the configured delay. Read and redacted events are left out;
 * without events there is no mail. Returns when to check again, if unread events remain. Rejects if the mail server
 * refuses. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
 */
export async function sendDigest(app: Capabilities, pusherNid: number): Promise<{ again: number } | undefined> {
  const pusher = await findEmailPusher(app.database, pusherNid)
  const waiting = pusher ? await loadWaiting(app.database, pusherNid, MOST_EVENTS) : []
  if (!pusher || waiting.length === 0 || !app.mailer) return undefined
  await storeUnread(app, pusher.user_id)
  const inRow = (await hasReadLastMail(app, pusher)) ? 0 : pusher.mails_in_row
  const now = app.clock.now()
  const dueAt = Math.max(waiting[0]!.queued_ts + app.config.email.digest_delay, inRow === 0 ? 0 : pusher.next_ts)
  if (now < dueAt) return { again: dueAt }

  const unread = await unreadAmong(app, pusher, waiting)
  if (unread.length > 0) await app.mailer.send(await digestMail(app, pusher, { waiting, unread }))
  const mailsInRow = unread.length > 0 ? inRow + 1 : inRow
  const nextTs = unread.length > 0 ? now + delayOf(app, mailsInRow) : pusher.next_ts
  const lastNid = waiting.at(-1)!.queue_nid
  await app.database.write((tx) => finishDigest(tx, { pusherNid, lastNid, mailsInRow, nextTs }))
  const [next] = await loadWaiting(app.database, pusherNid, 1)
  return next && { again: Math.max(next.queued_ts + app.config.email.digest_delay, nextTs) }
}

function delayOf({ config }: Pick<App, 'config'>, mailsInRow: number): number {
  const { digest_delay: delay, digest_longest_delay: longest } = config.email
  return backOff(mailsInRow, { first: delay, longest })
}

/** Returns whether all events of the last mail have been read. */
async function hasReadLastMail(app: Capabilities, { user_id, mails_in_row, next_ts }: EmailPusher): Promise<boolean> {
  if (mails_in_row === 0) return true
  return !(await hasUnreadBefore(app.database, user_id, next_ts - delayOf(app, mails_in_row)))
}

async function unreadAmong(
  app: Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'push'>,
  { user_id }: EmailPusher,
  waiting: readonly PushQueueRow[],
): Promise<StoredEvent[]> {
  const nids = waiting.flatMap(({ event_nid }) => event_nid ?? [])
  const messages = await loadUnreadAmong(app.database, user_id, nids)
  const invites = await loadOpenInvites(app.database, user_id, nids)
  const events = await loadEvents(app.database, [...messages, ...invites])
  const found = nids.flatMap((nid) => events.get(nid) ?? [])
  return filterNotifiable(app, user_id, found)
}
