import { z } from 'zod'
import { SuspendedError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { sendToDevice } from '../../../services/devices/send-to-device.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { byUser, storableObject } from './encryption-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid */
export const putSendToDevice = route({
  method: 'PUT',
  path: v3('/sendToDevice/:eventType/:txnId'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  rateLimit: 'message',
  params: z.object({ eventType: opaqueName, txnId: opaqueName }),
  body: z.object({ messages: byUser(z.record(opaqueName, storableObject)) }),
  async handle({ session, params, body }, app) {
    if (session.isSuspended) requireOwnDevices(session.userId, body.messages)
    await sendToDevice(app, {
      sender: session.userId,
      deviceId: transactionDevice(session),
      type: params.eventType,
      txnId: params.txnId,
      messages: session.isShadowBanned ? toOwnDevices(session.userId, body.messages) : body.messages,
    })
    return {}
  },
})

/** Messages of shadow-banned users to others are dropped. */
function toOwnDevices<Messages>(userId: UserId, messages: ReadonlyMap<UserId, Messages>): Map<UserId, Messages> {
  return new Map([...messages].filter(([recipient]) => recipient === userId))
}

/** Suspended users may send to their own devices, to verify them and share keys, but to nobody else. */
function requireOwnDevices(userId: UserId, messages: ReadonlyMap<UserId, unknown>): void {
  if ([...messages.keys()].some((recipient) => recipient !== userId)) throw new SuspendedError()
}
