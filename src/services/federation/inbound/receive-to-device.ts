import { z } from 'zod'
import { serverNameOf, type UserId } from '../../../core/ids.ts'
import { fits } from '../../../core/limits.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { claimReceivedMessage, deleteReceivedMessages } from '../../../storage/devices/received-messages.ts'
import type { NewToDeviceMessage } from '../../../storage/devices/to-device.ts'
import { deliverToDevice } from '../../devices/deliver-to-device.ts'
import { eduDeviceId, eduText, eduUserId } from '../trust/edu-fields.ts'
import { requireUserOfOrigin } from '../trust/require-own-user.ts'
import type { EduApp, ReceiveEdu } from './edu-app.ts'

const MAX_MESSAGES = 5000
/** How long duplicate messages are recognised. */
const KEPT_MS = 7 * 24 * 60 * 60_000
/** One in this many messages deletes expired IDs. */
const CLEARING_INTERVAL = 256

const contents = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
const content = z.looseObject({
  sender: eduUserId,
  type: eduText,
  message_id: eduText,
  messages: z.record(z.string(), z.record(z.string(), contents)),
})

/**
 * Delivers messages to devices of local users; `*` means all of a user's devices. Duplicates are ignored.
 * https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging
 */
export const receiveToDevice: ReceiveEdu = async (app, origin, received) => {
  const { sender, type, message_id: messageId, messages: byUser } = content.parse(received)
  requireUserOfOrigin(origin, sender)
  const all = Object.entries(byUser)
    .filter(([user]) => isOurs(app, user))
    .flatMap(([user, byDevice]) =>
      Object.entries(byDevice).map(
        ([device, each]): NewToDeviceMessage => ({
          userId: user as UserId,
          deviceId: device,
          sender,
          type,
          content: JSON.stringify(each),
        }),
      ),
    )
    .filter(({ deviceId: id }) => eduDeviceId.safeParse(id).success)
  const messages = all
    .slice(0, MAX_MESSAGES)
    .filter((message) => fits(message.content, app.config.limits.sizes.to_device_message))
  const dropped = all.length - messages.length
  if (dropped > 0) app.logger.warn({ origin, sender, dropped }, 'to-device messages dropped, too large or too many')
  if (messages.length === 0) return
  const now = app.clock.now()
  const clears = app.random.bytes(1)[0]! % CLEARING_INTERVAL === 0
  await app.database.write(async (tx) => {
    if (clears) await deleteReceivedMessages(tx, now - KEPT_MS)
    if (await claimReceivedMessage(tx, { origin, messageId, now })) await deliverToDevice(app, tx, messages)
  })
}

function isOurs({ serverName }: Pick<EduApp, 'serverName'>, user: string): boolean {
  return eduUserId.safeParse(user).success && serverNameOf(user as UserId) === serverName
}
