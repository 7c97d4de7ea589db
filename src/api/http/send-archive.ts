import type { Readable } from 'node:stream'
import { create as contentDisposition } from 'content-disposition'
import type { App } from '../../app.ts'
import type { RESPONDED } from './route.ts'
import { type Recipient, sendStream } from './send-stream.ts'

/** Sends a ZIP archive while it is written. A failure closes the connection, so that it is not taken for a whole one. */
export function sendArchive(
  app: Pick<App, 'unreadAnswers'>,
  recipient: Recipient,
  { archive, name }: { archive: Readable; name: string },
): Promise<typeof RESPONDED> {
  recipient.response.writeHead(200, {
    'Content-Type': 'application/zip',
    'Content-Disposition': contentDisposition(name),
    'Cache-Control': 'no-store',
  })
  return sendStream(app, recipient, { stream: archive })
}
