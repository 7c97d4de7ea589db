import { MIMEType } from 'whatwg-mimetype'

/** The type of content without a valid type. */
const UNKNOWN = 'application/octet-stream'

const MAX_LENGTH = 255

/** https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content */
const INLINE_TYPES: ReadonlySet<string> = new Set([
  ...['text/css', 'text/plain', 'text/csv', 'application/json', 'application/ld+json'],
  ...['image/jpeg', 'image/gif', 'image/png', 'image/apng', 'image/webp', 'image/avif'],
  ...['video/mp4', 'video/webm', 'video/ogg', 'video/quicktime'],
  ...['audio/mp4', 'audio/webm', 'audio/aac', 'audio/mpeg', 'audio/ogg', 'audio/wave', 'audio/wav', 'audio/x-wav'],
  ...['audio/x-pn-wav', 'audio/flac', 'audio/x-flac'],
])

/**
 * Returns the uploader's Content-Type, normalized and without malformed parameters; application/octet-stream if it is
 * missing or malformed.
 */
export function acceptedContentType(claimed: string | undefined): string {
  if (claimed === undefined || claimed.length > MAX_LENGTH) return UNKNOWN
  return MIMEType.parse(claimed)?.toString() ?? UNKNOWN
}

/**
 * Returns the Content-Type to serve: the uploader's, unless that is an image type which the content contradicts.
 *
 * @param detected The type that the first bytes of the content show; null: none. Text formats such as SVG show none.
 */
export function servedContentType(claimed: string, detected: string | null): string {
  const type = essence(claimed)
  if (!type?.startsWith('image/')) return claimed
  const isImage = detected?.startsWith('image/') ?? false
  // Only these are shown inline, and each is detected by its first bytes.
  if (INLINE_TYPES.has(type)) return isImage ? claimed : UNKNOWN
  if (type.endsWith('+xml')) return detected === null || detected === 'application/xml' ? claimed : UNKNOWN
  return isImage || detected === null ? claimed : UNKNOWN
}

/** Returns whether browsers may show this type inline. */
export function mayShowInline(contentType: string): boolean {
  const type = essence(contentType)
  return type !== undefined && INLINE_TYPES.has(type)
}

function essence(contentType: string): string | undefined {
  return MIMEType.parse(contentType)?.essence
}
