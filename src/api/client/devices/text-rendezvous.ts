import type { IncomingMessage } from 'node:http'
import fresh from 'fresh'
import { MIMEType } from 'whatwg-mimetype'
import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError, MissingParamError } from '../../../core/errors.ts'
import {
  createRendezvous,
  endRendezvous,
  MAX_RENDEZVOUS_BYTES,
  readRendezvous,
  writeRendezvous,
} from '../../../services/devices/rendezvous.ts'
import type { RendezvousRow } from '../../../storage/schema/rendezvous.ts'
import { readTextBody } from '../../http/body.ts'
import { Reply, route } from '../../http/route.ts'
import { creatorOf } from './rendezvous.ts'

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4108, the form of 2024: plain text, with ETag and If-Match
 * against lost updates.
 */
const PATH = '/_matrix/client/unstable/org.matrix.msc4108/rendezvous'

/** matrix-js-sdk requires exactly this media type. */
const TYPE = 'text/plain'
const params = z.object({ sessionId: z.string().max(255) })

const postTextRendezvous = route({
  method: 'POST',
  path: PATH,
  auth: 'optional',
  suspendedUsers: true,
  body: 'stream',
  async handle(call, app) {
    const content = await readText(app, call.request.raw)
    const session = await createRendezvous(app, { creator: creatorOf(call), content, contentType: TYPE })
    const url = `${app.config.public_base_url}${PATH}/${session.session_id}`
    return new Reply(201, { url }, headersOf(session))
  },
})

const getTextRendezvous = route({
  method: 'GET',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  async handle({ params, request }, app) {
    const session = await readRendezvous(app, params.sessionId)
    const headers = headersOf(session)
    if (fresh({ 'if-none-match': request.headers['if-none-match'] }, { etag: headers.ETag }))
      return new Reply(304, '', headers)
    return new Reply(200, session.content, { ...headers, 'Content-Type': TYPE })
  },
})

const putTextRendezvous = route({
  method: 'PUT',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  body: 'stream',
  async handle({ params: { sessionId }, request }, app) {
    const [replaces] = tagsIn(request.headers['if-match'])
    if (replaces === undefined) throw new MissingParamError('If-Match: is missing')
    const content = await readText(app, request.raw)
    const written = await writeRendezvous(app, { sessionId, replaces, content, contentType: TYPE })
    if (written) return new Reply(202, '', headersOf(written))
    throw new MatrixError(412, 'M_UNKNOWN', 'If-Match: is not the ETag of the last payload', {
      'org.matrix.msc4108.errcode': 'M_CONCURRENT_WRITE',
    })
  },
})

const deleteTextRendezvous = route({
  method: 'DELETE',
  path: `${PATH}/:sessionId`,
  auth: 'none',
  params,
  async handle({ params }, app) {
    await endRendezvous(app, params.sessionId)
    return new Reply(204, '')
  },
})

async function readText({ config }: App, request: IncomingMessage): Promise<string> {
  if (MIMEType.parse(request.headers['content-type'] ?? '')?.essence !== TYPE)
    throw new InvalidParamError(`Content-Type: must be ${TYPE}`)
  const text = await readTextBody(request, { ...config.limits, request_size: MAX_RENDEZVOUS_BYTES })
  if (text.includes('\0')) throw new InvalidParamError('Text cannot contain the character NUL')
  return text
}

function headersOf(session: RendezvousRow) {
  return {
    ETag: `"${session.sequence_token}"`,
    Expires: new Date(session.expires_ts).toUTCString(),
    'Last-Modified': new Date(session.changed_ts).toUTCString(),
    'Cache-Control': 'no-store',
    Pragma: 'no-cache',
  }
}

/** Lists the entity tags of If-Match without quotes. */
function tagsIn(header: string | undefined): string[] {
  const tags = header?.split(',').map((tag) => tag.trim().replace(/^(?:W\/)?"(.*)"$/, '$1')) ?? []
  return tags.filter((tag) => tag !== '')
}

export const textRendezvousEndpoints = [postTextRendezvous, getTextRendezvous, putTextRendezvous, deleteTextRendezvous]
