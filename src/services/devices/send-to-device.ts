import type { App } from '../../app.ts'
import { type DeviceId, serverNameOf, type UserId } from '../../core/ids.ts'
import { requireCount, requireSize } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import {
  claimToDeviceTransaction,
  deleteToDeviceTransactions,
  type NewToDeviceMessage,
} from '../../storage/devices/to-device.ts'
import type { NewEdu } from '../../storage/federation/federation-outbox.ts'
import { deliverToDevice } from './deliver-to-device.ts'
import { queueWithinLimit } from './queue-edus.ts'

/** A request to send messages of one type. */
export type ToDeviceRequest = {
  sender: UserId
  /** The sending device: together with `type` and `txnId` it identifies a request. */
  deviceId: DeviceId | null
  type: string
  txnId: string
  /** Contents by user, and by device or `*` for all devices of the user. */
  messages: ReadonlyMap<UserId, Record<string, JsonObject>>
}

/** How long retried requests are recognised. */
const TRANSACTIONS_KEPT_MS = 24 * 60 * 60_000
/** One in this many requests deletes expired transactions. */
const CLEARING_INTERVAL = 256

/** Maximum characters of messages in one EDU, unless a single message is longer. */
const MAX_EDU_SIZE = 50_000
const MESSAGE_ID_LENGTH = 24

/** `text`: the content as JSON. */
type Message = { userId: UserId; deviceId: string; content: JsonObject; text: string }

/**
 * Delivers messages to the inboxes of local users' devices, and queues those for remote users, in one transaction. A
 * retried request sends nothing again. Throws M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid
 */
export async function sendToDevice(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'clock' | 'random' | 'logger'>,
  request: ToDeviceRequest,
): Promise<void> {
  const now = app.clock.now()
  const clears = app.random.bytes(1)[0]! % CLEARING_INTERVAL === 0
  const { sender, deviceId, type, txnId } = request
  const { local, edus } = split(app, request)
  await app.database.write(async (tx) => {
    if (clears) await deleteToDeviceTransactions(tx, now - TRANSACTIONS_KEPT_MS)
    if (!(await claimToDeviceTransaction(tx, { userId: sender, deviceId, type, txnId, now }))) return
    await deliverToDevice(app, tx, local)
    await queueWithinLimit(app, tx, edus)
  })
}

function split(
  app: Pick<App, 'config' | 'serverName' | 'random'>,
  { sender, type, messages }: ToDeviceRequest,
): { local: NewToDeviceMessage[]; edus: NewEdu[] } {
  const all = [...messages].flatMap(([userId, byDevice]) =>
    Object.entries(byDevice).map(
      ([deviceId, content]): Message => ({ userId, deviceId, content, text: JSON.stringify(content) }),
    ),
  )
  requireCount(app.config.limits, 'to_device_messages', all.length)
  for (const { text } of all) requireSize(app.config.limits, 'to_device_message', text)
  const byServer = Map.groupBy(all, ({ userId }) => serverNameOf(userId))
  const local = (byServer.get(app.serverName) ?? []).map(({ userId, deviceId, text }) => ({
    userId,
    deviceId,
    sender,
    type,
    content: text,
  }))
  byServer.delete(app.serverName)
  const edus = [...byServer].flatMap(([destination, theirs]) =>
    inParts(theirs).map((part) => {
      const message_id = app.random.token(MESSAGE_ID_LENGTH)
      const content = { sender, type, message_id, messages: tree(part) }
      return { destination, type: 'm.direct_to_device', content, sender }
    }),
  )
  return { local, edus }
}

function inParts(messages: readonly Message[]): Message[][] {
  const parts: Message[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const message of messages) {
    const { length } = message.text
    if (size + length > MAX_EDU_SIZE) {
      parts.push([])
      size = 0
    }
    parts.at(-1)!.push(message)
    size += length
  }
  return parts
}

function tree(messages: readonly Message[]): JsonObject {
  const ofUsers = Map.groupBy(messages, ({ userId }) => userId)
  return Object.fromEntries(
    [...ofUsers].map(([userId, theirs]) => [
      userId,
      Object.fromEntries(theirs.map(({ deviceId, content }) => [deviceId, content])),
    ]),
  )
}
