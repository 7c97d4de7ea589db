import { create as contentDisposition } from 'content-disposition'
import type { App } from '../../app.ts'
import { mayShowInline } from '../../services/media/content-type.ts'
import { findLocalMedia } from '../../services/media/find-local-media.ts'
import { openFile } from '../../services/media/open-file.ts'
import { thumbnailMedia } from '../../services/media/thumbnail-media.ts'
import { type RESPONDED, route } from '../http/route.ts'
import { type Recipient, sendStream } from '../http/send-stream.ts'
import { mediaPath, waitQuery } from '../media/media-fields.ts'
import { thumbnailName, thumbnailQuery } from '../media/thumbnail-media.ts'

const ownMediaPath = mediaPath.pick({ mediaId: true })

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid */
export const getFederationDownload = route({
  method: 'GET',
  path: '/_matrix/federation/v1/media/download/:mediaId',
  auth: 'server',
  params: ownMediaPath,
  query: waitQuery,
  async handle({ params, query, signal, response, owner }, app) {
    const name = { serverName: app.serverName, ...params }
    const { contentType, filename, file } = await findLocalMedia(app, name, { timeoutMs: query.timeout_ms, signal })
    const disposition = contentDisposition(filename ?? undefined, {
      type: mayShowInline(contentType) ? 'inline' : 'attachment',
    })
    return sendParts(app, { response, owner }, { ...file, contentType, disposition })
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediathumbnailmediaid */
export const getFederationThumbnail = route({
  method: 'GET',
  path: '/_matrix/federation/v1/media/thumbnail/:mediaId',
  auth: 'server',
  params: ownMediaPath,
  query: thumbnailQuery,
  async handle({ params, query, signal, response, owner }, app) {
    const name = { serverName: app.serverName, ...params }
    const { file } = await findLocalMedia(app, name, { timeoutMs: query.timeout_ms, signal })
    const thumbnail = await thumbnailMedia(app, file, query)
    const disposition = contentDisposition(thumbnailName(thumbnail.contentType), { type: 'inline' })
    return sendParts(app, { response, owner }, { ...thumbnail, disposition })
  },
})

type Content = { objectKey: string; size: number; contentType: string; disposition: string }

/** Sends a multipart response: the metadata, which is empty so far, and the file. */
async function sendParts(app: App, recipient: Recipient, content: Content): Promise<typeof RESPONDED> {
  const boundary = app.random.token(32)
  const before = Buffer.from(
    `--${boundary}\r\nContent-Type: application/json\r\n\r\n{}\r\n--${boundary}\r\nContent-Type: ${content.contentType}\r\nContent-Disposition: ${content.disposition}\r\n\r\n`,
    'latin1',
  )
  const after = Buffer.from(`\r\n--${boundary}--\r\n`)
  const stream = await openFile(app, content.objectKey)
  recipient.response.writeHead(200, {
    'Content-Type': `multipart/mixed; boundary=${boundary}`,
    'Content-Length': before.length + content.size + after.length,
  })
  return sendStream(app, recipient, { stream, before, after, isFreed: true })
}
