import { isServerName, type ServerName } from './ids.ts'

/** The two parts of an `mxc://` URI. */
export type MediaName = { serverName: ServerName; mediaId: string }

const MEDIA_ID = /^[A-Za-z0-9_-]{1,255}$/

/**
 * Whether a stored value is a valid URI of a file: clients treat others as an error.
 * https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris
 */
export function isContentUri(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('mxc://')
}

/** Returns the `mxc://` URI of media. */
export function contentUriOf({ serverName, mediaId }: MediaName): string {
  return `mxc://${serverName}/${mediaId}`
}

/** Returns the parts of an `mxc://` URI, or undefined for any other value. */
export function parseContentUri(value: unknown): MediaName | undefined {
  if (!isContentUri(value)) return undefined
  const [serverName = '', mediaId = '', ...rest] = value.slice('mxc://'.length).split('/')
  return rest.length === 0 && isServerName(serverName) && isMediaId(mediaId) ? { serverName, mediaId } : undefined
}

/**
 * Whether a text is a media ID. The restricted characters prevent path traversal:
 * https://spec.matrix.org/v1.19/client-server-api/#content-repo-security-considerations
 */
export function isMediaId(text: string): boolean {
  return MEDIA_ID.test(text)
}
