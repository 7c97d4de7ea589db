import type { App } from '../../app.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import { type DeviceId, serverNameOf, type UserId } from '../../core/ids.ts'
import {
  claimToDeviceTransaction,
  deleteToDeviceTransactions,
  type NewToDeviceMessage,
  storeToDeviceMessages,
} from '../../storage/to-device.ts'

/** A request to send messages of one type. */
export type ToDeviceRequest = {
  sender: UserId
  /** The device that sends: with `type` and `txnId` it tells requests from one another. */
  deviceId: DeviceId | null
  type: string
  txnId: string
  /** Contents by user, and by device or `*` for all devices of the user. */
  messages: ReadonlyMap<UserId, Record<string, JsonObject>>
}

/** How long repeated requests are recognised. */
const TRANSACTIONS_KEPT_MS = 24 * 60 * 60_000
/** One in so many requests clears away old transactions. */
const CLEARING_INTERVAL = 256

/**
 * Puts messages into the inboxes of local users' devices, all or none; a request that is repeated sends nothing again.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid
 */
export async function sendToDevice(
  app: Pick<App, 'database' | 'serverName' | 'clock' | 'random'>,
  request: ToDeviceRequest,
): Promise<void> {
  const now = app.clock.now()
  const clears = app.random.bytes(1)[0]! % CLEARING_INTERVAL === 0
  await app.database.write(async (tx) => {
    if (clears) await deleteToDeviceTransactions(tx, now - TRANSACTIONS_KEPT_MS)
    const { sender: userId, deviceId, type, txnId } = request
    if (!(await claimToDeviceTransaction(tx, { userId, deviceId, type, txnId, now }))) return
    await storeToDeviceMessages(tx, localMessages(app, request))
  })
}

function localMessages(
  app: Pick<App, 'serverName'>,
  { sender, type, messages }: ToDeviceRequest,
): NewToDeviceMessage[] {
  const local = [...messages].filter(([userId]) => serverNameOf(userId) === app.serverName)
  return local.flatMap(([userId, byDevice]) =>
    Object.entries(byDevice).map(([deviceId, content]) => ({
      userId,
      deviceId,
      sender,
      type,
      content: JSON.stringify(content),
    })),
  )
}
