import { parse as parseDisposition } from 'content-disposition'
import type { App } from '../../../app.ts'
import type { MediaName } from '../../../core/content-uri.ts'
import type { FederationStream } from '../../../infra/federation/federation-client.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { MalformedMultipartError, readParts } from '../../../infra/http/multipart.ts'

/** The stream of a remote file; nothing of it is held in memory. */
export type RemoteFile = {
  contentType: string | undefined
  filename: string | undefined
  content: AsyncIterable<Buffer>
}

/** In addition to the time that the other server may wait for an upload. */
const TRANSFER_MS = 10 * 60_000
const BEGIN_MS = 10_000

/**
 * Requests media from its server. Throws FederationError, also while the content is read.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
 */
export async function askForMedia(app: App, { serverName, mediaId }: MediaName, waitMs: number): Promise<RemoteFile> {
  const bounds = { timeoutMs: waitMs + TRANSFER_MS, beginsWithinMs: waitMs + BEGIN_MS, maxBytes: maxBytes(app) }
  const request = { destination: serverName, method: 'GET', ...bounds } as const
  try {
    const path = `/_matrix/federation/v1/media/download/${mediaId}`
    return await readAnswer(
      app,
      serverName,
      await app.federation.stream({ ...request, path, query: { timeout_ms: waitMs } }),
    )
  } catch (error) {
    if (!(error instanceof FederationError) || !error.isUnknownEndpoint()) throw error
    // Servers before Matrix 1.11.
    const path = `/_matrix/media/v3/download/${serverName}/${mediaId}`
    const query = { timeout_ms: waitMs, allow_remote: false }
    return describe(await app.federation.stream({ ...request, path, query }))
  }
}

/** The maximum file size plus the multipart overhead. */
function maxBytes(app: App): number {
  return app.config.media.max_upload_size + 64 * 1024
}

/** Reads the two parts of the response: the metadata, which is empty so far, and the file or its location. */
async function readAnswer(
  app: App,
  serverName: MediaName['serverName'],
  answer: FederationStream,
): Promise<RemoteFile> {
  const parts = readParts(String(answer.headers['content-type']), answer.body)
  try {
    await parts.next()
    const { value: file } = await parts.next()
    if (!file) throw new MalformedMultipartError('the file is missing')
    const location = file.headers.get('location')
    if (location === undefined)
      return describe({ headers: Object.fromEntries(file.headers), body: whole(serverName, parts, file.content) })
    await parts.return(undefined)
    const bounds = { timeoutMs: TRANSFER_MS, maxBytes: maxBytes(app) }
    return describe(await app.federation.download(serverName, location, bounds))
  } catch (error) {
    await parts.return(undefined)
    throw asFailure(serverName, error)
  }
}

function asFailure(serverName: MediaName['serverName'], error: unknown): unknown {
  if (!(error instanceof MalformedMultipartError)) return error
  const message = `${serverName} does not send media as it should: ${error.message}`
  return new FederationError(message, { retryable: false, cause: error })
}

/** Yields the content of the last part. The connection is released however reading ends. */
async function* whole(
  serverName: MediaName['serverName'],
  parts: AsyncGenerator,
  content: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  try {
    yield* content
  } catch (error) {
    throw asFailure(serverName, error)
  } finally {
    await parts.return(undefined)
  }
}

function describe({ headers, body }: FederationStream): RemoteFile {
  const { 'content-type': contentType, 'content-disposition': disposition } = headers
  return {
    contentType: typeof contentType === 'string' ? contentType : undefined,
    filename: typeof disposition === 'string' ? fileNameOf(disposition) : undefined,
    content: body,
  }
}

function fileNameOf(disposition: string): string | undefined {
  try {
    return parseDisposition(disposition).parameters.filename
  } catch {
    return undefined
  }
}
