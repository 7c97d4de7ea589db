import { z } from 'zod'
import type { App } from '../../../app.ts'
import { sendServerNotice } from '../../../services/rooms/lifecycle/server-notices.ts'
import { jsonObject, opaqueText, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { v1 } from '../admin-fields.ts'

const path = v1('/send_server_notice')
const body = z.object({
  user_id: userId,
  type: opaqueText.default('m.room.message'),
  state_key: opaqueText.optional(),
  content: jsonObject,
})

/** Sends a server notice to a user. The request has the form of Synapse's admin API. */
export const postServerNotice = route({
  method: 'POST',
  path,
  auth: 'admin',
  body,
  handle: ({ body: notice }, app) => send(app, notice),
})

/** Sends a server notice once per transaction ID. */
export const putServerNotice = route({
  method: 'PUT',
  path: `${path}/:txnId`,
  auth: 'admin',
  params: z.object({ txnId: opaqueText }),
  body,
  handle: ({ params, body: notice, session }, app) => send(app, notice, { sender: session.userId, id: params.txnId }),
})

async function send(
  app: App,
  { user_id: target, type, state_key: stateKey, content }: z.output<typeof body>,
  txn?: { sender: z.output<typeof userId>; id: string },
) {
  return { event_id: await sendServerNotice(app, { target, type, stateKey, content, ...(txn && { txn }) }) }
}
