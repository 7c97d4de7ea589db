import { type Appservice, hasExclusively, hasUser } from '../../core/appservice.ts'
import type { ClientEvent } from '../../core/events/client-event.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { loadMessagesByNid } from '../../storage/devices/to-device.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import { strippedState } from '../rooms/membership/stripped-state.ts'
import { serveEvents } from '../rooms/reading/serve-events.ts'
import { deviceNews } from './device-news.ts'
import { ephemeralEvents } from './ephemeral-events.ts'
import type { News } from './gather-news.ts'
import type { TransactionApp } from './transaction-app.ts'

/** The body of a transaction, undefined if it is empty, and the to-device messages that it delivers for good. */
export type TransactionBody = { body: string | undefined; messages: number[] }

/** Assembles a transaction. https://spec.matrix.org/v1.19/application-service-api/#put_matrixappv1transactionstxnid */
export async function transactionBody(
  app: TransactionApp,
  appservice: Appservice,
  news: News,
): Promise<TransactionBody> {
  const events = await clientEvents(app, appservice, news.events)
  const ephemeral = appservice.ephemeralKeys.length > 0 ? await ephemeralEvents(app, appservice, news) : []
  const messages = await loadMessagesByNid(app.database, news.messages)
  const toDevice = messages.map(({ userId, deviceId, sender, type, content }) => ({
    to_user_id: userId,
    to_device_id: deviceId,
    sender,
    type,
    content: JSON.parse(content),
  }))
  const more = {
    ...(ephemeral.length > 0 && Object.fromEntries(appservice.ephemeralKeys.map((key) => [key, ephemeral]))),
    ...(toDevice.length > 0 && { 'de.sorunome.msc2409.to_device': toDevice }),
    ...(appservice.receivesDeviceLists && (await deviceNews(app, appservice, news, messages))),
  }
  const isEmpty = events.length === 0 && Object.keys(more).length === 0
  return {
    body: isEmpty ? undefined : JSON.stringify({ events, ...more }),
    messages: messages.filter(({ userId }) => endsWith(appservice, userId)).map(({ message_nid }) => message_nid),
  }
}

/**
 * Returns whether a device gets its messages only by transactions. Users in no exclusive namespace, and those of
 * application services without encryption support, may also use /sync.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4203
 */
function endsWith(appservice: Appservice, userId: string): boolean {
  return appservice.acknowledgesToDevice && hasExclusively(appservice, 'users', userId)
}

async function clientEvents(
  app: TransactionApp,
  appservice: Appservice,
  nids: readonly number[],
): Promise<ClientEvent[]> {
  if (nids.length === 0) return []
  const stored = await loadEvents(app.database, nids)
  const events = nids.flatMap((nid) => stored.get(nid) ?? [])
  const served = await serveEvents(app, { events, userId: null, deviceId: null })
  for (const [place, { pdu, event_nid }] of events.entries()) {
    const isInvite = pdu.type === 'm.room.member' && pdu.content.membership === 'invite'
    if (!isInvite || pdu.state_key === undefined || !hasUser(appservice, pdu.state_key)) continue
    // An invited user cannot read the room yet.
    const state = await strippedState(app, event_nid, { rooms: events.length })
    if (state) served[place]!.unsigned = { ...served[place]!.unsigned, invite_room_state: state } as JsonObject
  }
  return served
}
