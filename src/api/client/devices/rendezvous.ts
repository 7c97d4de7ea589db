import { z } from 'zod'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import {
  createRendezvous,
  endRendezvous,
  type RendezvousCreator,
  readRendezvous,
  writeRendezvous,
} from '../../../services/devices/rendezvous.ts'
import { networkOf, wideNetworkOf } from '../../http/network-of.ts'
import { type Call, Reply, route, type Session } from '../../http/route.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4388 */
const PATH = '/_matrix/client/unstable/io.element.msc4388/rendezvous'

const TYPE = 'application/json'
/** An intermediate cache must not answer with an earlier payload. */
const NOT_KEPT = { 'Cache-Control': 'no-store' }
const params = z.object({ sessionId: z.string().max(255) })
const payload = z.object({ data: z.string() })
const change = payload.extend({ sequence_token: z.string().max(255) })
/** https://spec.matrix.org/v1.19/appendices/#opaque-identifiers */
const opaque = z.string().regex(/^[0-9A-Za-z\-._~=]{1,255}$/, 'is not an opaque identifier')

/** Needs no token: the device that signs in has no account yet. */
const getRendezvousAvailable = route({
  method: 'GET',
  path: PATH,
  auth: 'optional',
  handle: () => ({ create_available: true }),
})

const postRendezvous = route({
  method: 'POST',
  path: PATH,
  auth: 'optional',
  suspendedUsers: true,
  body: payload,
  async handle(call, app) {
    const creator = creatorOf(call)
    const session = await createRendezvous(app, { creator, content: call.body.data, contentType: TYPE })
    const { session_id: id, sequence_token, expires_ts } = session
    return { id, sequence_token, expires_in_ms: expires_ts - app.clock.now() }
  },
})

const getRendezvous = route({
  method: 'GET',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  async handle({ params, request }, app) {
    requireNotShown(request.headers)
    const { content: data, sequence_token, expires_ts } = await readRendezvous(app, params.sessionId)
    return new Reply(200, { data, sequence_token, expires_in_ms: expires_ts - app.clock.now() }, NOT_KEPT)
  },
})

/** The deployed form of the request. */
const putRendezvous = route({
  method: 'PUT',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  body: change,
  handle: ({ params, body }, app) => write(app, { ...params, ...body }),
})

/** The proposal's form of the request, which is idempotent. */
const putRendezvousOnce = route({
  method: 'PUT',
  path: `${PATH}/:sessionId/:txnId`,
  auth: 'none',
  params: params.extend({ txnId: opaque }),
  body: change,
  handle: ({ params, body }, app) => write(app, { ...params, ...body }),
})

const deleteRendezvous = route({
  method: 'DELETE',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  async handle({ params }, app) {
    await endRendezvous(app, params.sessionId)
    return {}
  },
})

async function write(
  app: Parameters<typeof writeRendezvous>[0],
  { data, sequence_token, ...where }: { sessionId: string; txnId?: string; data: string; sequence_token: string },
) {
  const write = { ...where, replaces: sequence_token, content: data, contentType: TYPE }
  const written = await writeRendezvous(app, write)
  if (!written) {
    throw new MatrixError(409, 'IO_ELEMENT_MSC4388_CONCURRENT_WRITE', 'sequence_token: is not that of the last payload')
  }
  return { sequence_token: written.sequence_token }
}

/** Rejects navigation requests, which browsers mark: a link to this endpoint could show its payload to the user. */
function requireNotShown(headers: Call<undefined, undefined, undefined, undefined>['request']['headers']): void {
  const { 'sec-fetch-dest': destination = 'empty', 'sec-fetch-mode': mode, 'sec-fetch-user': user } = headers
  const isShown =
    destination !== 'empty' || mode === 'navigate' || user === '?1' || headers['sec-fetch-site'] === 'none'
  if (isShown) throw new ForbiddenError('A browser cannot show a rendezvous session')
}

/** Returns the key by which the sessions of one creator are counted. */
export function creatorOf(call: {
  session: Pick<Session, 'userId'> | undefined
  request: { ip: string }
}): RendezvousCreator {
  if (call.session) return { name: call.session.userId, network: null }
  return { name: networkOf(call.request.ip), network: wideNetworkOf(call.request.ip) }
}

export const rendezvousEndpoints = [
  getRendezvousAvailable,
  postRendezvous,
  getRendezvous,
  putRendezvous,
  putRendezvousOnce,
  deleteRendezvous,
]
