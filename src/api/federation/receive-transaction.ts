import { z } from 'zod'
import { receiveTransaction } from '../../services/federation/inbound/receive-transaction.ts'
import { opaqueText } from '../http/fields.ts'
import { RawJson, route } from '../http/route.ts'

const MAX_PDUS = 50
const MAX_EDUS = 100

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid */
export const putSend = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/send/:txnId',
  auth: 'server',
  params: z.object({ txnId: opaqueText }),
  body: z.looseObject({
    pdus: z.array(z.unknown()).max(MAX_PDUS).default([]),
    edus: z.array(z.unknown()).max(MAX_EDUS).default([]),
  }),
  async handle({ params, body, session }, app) {
    const { pdus, edus } = body
    return new RawJson(await receiveTransaction(app, { origin: session.origin, txnId: params.txnId, pdus, edus }))
  },
})
