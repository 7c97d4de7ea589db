import type { App } from '../../../app.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { deleteToDeviceMessages, loadToDeviceMessages } from '../../../storage/devices/to-device.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/** Messages to a device, in the order of their arrival. */
export type ToDeviceSection = {
  events: { sender: string; type: string; content: JsonObject }[]
  /**
   * The position up to which they are told: what the client acknowledges with the next token. Undefined: there are
   * none.
   */
  upTo: number | undefined
}

/** Who syncs; application services may do so without a device, and then have no messages. */
export type SyncingDevice = { userId: UserId; deviceId: DeviceId | null }

const NOTHING: ToDeviceSection = { events: [], upTo: undefined }

/**
 * As many as the specification recommends. https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
 */
const MESSAGES_AT_ONCE = 100

/**
 * The oldest messages that wait for a device up to position `to`. `acknowledged`: up to where the last answer told
 * messages, undefined if it had none; then, without a row about one since `from`, nothing waits and nothing is read.
 * `from` 0: all that wait. `limit`: tells no more than so many.
 */
export async function syncToDevice(
  app: Pick<App, 'database' | 'config'>,
  { userId, deviceId }: SyncingDevice,
  span: { acknowledged: number | undefined; from: number; to: number; rows: readonly StreamRow[]; limit?: number },
): Promise<ToDeviceSection> {
  if (deviceId === null) return NOTHING
  const start = span.acknowledged ?? span.from
  const isLagging = start === 0 || start < span.from
  if (!isLagging && !span.rows.some((row) => row.kind === 'to_device' && row.detail === deviceId)) return NOTHING
  const limit = Math.min(span.limit ?? MESSAGES_AT_ONCE, MESSAGES_AT_ONCE)
  const range = { from: start, to: span.to, limit, bytes: app.config.limits.answers.to_device }
  const { messages, hasMore } = await loadToDeviceMessages(app.database, { userId, deviceId }, range)
  return {
    events: messages.map(({ sender, type, content }) => ({ sender, type, content: JSON.parse(content) })),
    upTo: hasMore ? messages.at(-1)!.position : messages.length > 0 ? span.to : undefined,
  }
}

/** Drops the messages that a client has got: it came back with the token of the answer that had them. */
export async function acknowledgeToDevice(
  app: Pick<App, 'database'>,
  { userId, deviceId }: SyncingDevice,
  acknowledged: number,
): Promise<void> {
  if (deviceId === null) return
  const device = { userId, deviceId }
  await app.database.write((tx) => deleteToDeviceMessages(tx, device, acknowledged))
}
