import { z } from 'zod'
import { MatrixError } from '../../../core/errors.ts'
import type { ServerName } from '../../../core/ids.ts'
import type { EduApp, ReceiveEdu } from './edu-app.ts'
import { receiveDeviceListUpdate, receiveSigningKeyUpdate } from './receive-device-lists.ts'
import { receivePresence } from './receive-presence.ts'
import { receiveReceipts } from './receive-receipts.ts'
import { receiveToDevice } from './receive-to-device.ts'
import { receiveTyping } from './receive-typing.ts'

const edu = z.looseObject({ edu_type: z.string(), content: z.unknown() })

const RECEIVERS: ReadonlyMap<string, ReceiveEdu> = new Map([
  ['m.typing', receiveTyping],
  ['m.receipt', receiveReceipts],
  ['m.presence', receivePresence],
  ['m.direct_to_device', receiveToDevice],
  ['m.device_list_update', receiveDeviceListUpdate],
  ['m.signing_key_update', receiveSigningKeyUpdate],
])

/**
 * Handles the EDUs of a transaction. Skips malformed ones, unknown types and EDUs about other servers' users. Throws
 * only if the database fails, so that the sender retries.
 * https://spec.matrix.org/v1.19/server-server-api/#edus
 */
export async function receiveEdus(app: EduApp, origin: ServerName, received: readonly unknown[]): Promise<void> {
  for (const each of received) await receiveEdu(app, origin, each)
}

async function receiveEdu(app: EduApp, origin: ServerName, received: unknown): Promise<void> {
  const parsed = edu.safeParse(received)
  const receive = RECEIVERS.get(parsed.data?.edu_type ?? '')
  if (!parsed.data || !receive) return
  try {
    await receive(app, origin, parsed.data.content)
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof MatrixError)) throw error
    app.logger.debug({ err: error, origin, edu_type: parsed.data.edu_type }, 'invalid EDU ignored')
  }
}
