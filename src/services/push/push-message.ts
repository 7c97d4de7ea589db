import type { JsonObject } from '../../core/pdu.ts'
import type { Db } from '../../storage/engine/database.ts'
import { readStateEvent } from '../../storage/rooms/timeline/room-state.ts'
import type { PusherRow, PushQueueRow } from '../../storage/schema/push.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'

type Message = { notification: JsonObject }

/** Returns a push gateway request with only the unread count. */
export function badgeMessage(pusher: PusherRow, unread: number): Message {
  return { notification: { ...counts(unread), devices: [device(pusher, {})] } }
}

/**
 * Returns the push gateway request for an event:
 * https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify
 */
export async function eventMessage(
  db: Db,
  pusher: PusherRow,
  { push, event, unread }: { push: PushQueueRow; event: StoredEvent; unread: number },
): Promise<Message> {
  const tweaks = JSON.parse(push.tweaks) as JsonObject
  const { room_id, event_id, pdu } = event
  const isUrgent = push.highlight || tweaks.sound !== undefined || pdu.type === 'm.room.encrypted'
  const essentials = { event_id, room_id, prio: isUrgent ? 'high' : 'low', ...counts(unread) }
  const devices = [device(pusher, tweaks)]
  if (JSON.parse(pusher.data).format === 'event_id_only') return { notification: { ...essentials, devices } }
  return {
    notification: {
      ...essentials,
      // The former name of event_id, which gateways and clients may read.
      id: event_id,
      type: pdu.type,
      sender: pdu.sender,
      content: pdu.content,
      ...(pdu.type === 'm.room.member' && { user_is_target: pdu.state_key === pusher.user_id }),
      ...(await names(db, event)),
      devices,
    },
  }
}

/** Counts of zero are left out. */
function counts(unread: number): JsonObject {
  return { counts: unread > 0 ? { unread } : {} }
}

function device(pusher: PusherRow, tweaks: JsonObject): JsonObject {
  const { url: _, ...data } = JSON.parse(pusher.data) as JsonObject
  return { app_id: pusher.app_id, pushkey: pusher.pushkey, pushkey_ts: pusher.pushkey_ts, data, tweaks }
}

async function names(db: Db, { pdu, state_before }: StoredEvent): Promise<JsonObject> {
  const root = state_before ?? 0
  const [sender, name, alias] = await Promise.all([
    readStateEvent(db, root, 'm.room.member', pdu.sender),
    readStateEvent(db, root, 'm.room.name'),
    readStateEvent(db, root, 'm.room.canonical_alias'),
  ])
  return {
    ...texts('sender_display_name', sender?.pdu.content.displayname),
    ...texts('room_name', name?.pdu.content.name),
    ...texts('room_alias', alias?.pdu.content.alias),
  }
}

function texts(key: string, value: unknown): JsonObject {
  return typeof value === 'string' && value !== '' ? { [key]: value } : {}
}
