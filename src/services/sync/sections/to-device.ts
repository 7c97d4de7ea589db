import type { App } from '../../../app.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { deleteToDeviceMessages, loadToDeviceMessages } from '../../../storage/devices/to-device.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/** Messages to a device, in order of arrival. */
export type ToDeviceSection = {
  events: { sender: string; type: string; content: JsonObject }[]
  /** The position up to which messages are included, which the next token acknowledges. Undefined: no messages. */
  upTo: number | undefined
}

/** The syncing user and device; application services may sync without a device, and then have no messages. */
export type SyncingDevice = { userId: UserId; deviceId: DeviceId | null }

const NOTHING: ToDeviceSection = { events: [], upTo: undefined }

/**
 * The number that the specification recommends.
 * https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
 */
const MESSAGES_AT_ONCE = 100

/**
 * Reads the oldest pending messages of a device up to position `to`. `acknowledged`: the position up to which the last
 * response had messages, undefined if it had none; then, unless a row since `from` announces one, none is pending and
 * nothing is read. `from` 0: all pending ones. `limit`: the maximum number.
 */
export async function syncToDevice(
  app: Pick<App, 'database' | 'config'>,
  { userId, deviceId }: SyncingDevice,
  span: { acknowledged: number | undefined; from: number; to: number; rows: readonly StreamRow[]; limit?: number },
): Promise<ToDeviceSection> {
  if (deviceId === null) return NOTHING
  const start = span.acknowledged ?? span.from
  const isBehind = start === 0 || start < span.from
  if (!isBehind && !span.rows.some((row) => row.kind === 'to_device' && row.detail === deviceId)) return NOTHING
  const limit = Math.min(span.limit ?? MESSAGES_AT_ONCE, MESSAGES_AT_ONCE)
  const range = { from: start, to: span.to, limit, bytes: app.config.limits.answers.to_device }
  const { messages, hasMore } = await loadToDeviceMessages(app.database, { userId, deviceId }, range)
  return {
    events: messages.map(({ sender, type, content }) => ({ sender, type, content: JSON.parse(content) })),
    upTo: hasMore ? messages.at(-1)!.position : messages.length > 0 ? span.to : undefined,
  }
}

/** Deletes the messages that a client has received: it has sent the token of the response with them. */
export async function acknowledgeToDevice(
  app: Pick<App, 'database'>,
  { userId, deviceId }: SyncingDevice,
  acknowledged: number,
): Promise<void> {
  if (deviceId === null) return
  const device = { userId, deviceId }
  await app.database.write((tx) => deleteToDeviceMessages(tx, device, acknowledged))
}
