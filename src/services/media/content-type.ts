import { MIMEType } from 'whatwg-mimetype'

/** What content is called that has no type, or none that makes sense. */
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
 * Returns the uploader's Content-Type, normalized and without malformed parameters; application/octet-stream for none
 * and for a malformed one.
 */
export function acceptedContentType(claimed: string | undefined): string {
  if (claimed === undefined || claimed.length > MAX_LENGTH) return UNKNOWN
  return MIMEType.parse(claimed)?.toString() ?? UNKNOWN
}

/**
 * The type to serve content with: as the uploader said, unless that is an image and the content contradicts it.
 *
 * @param detected The type that the first bytes of the content show; null: none. Formats that are text, such as SVG,
 * show none.
 */
export function servedContentType(claimed: string, detected: string | null): string {
  const type = essence(claimed)
  if (!type?.startsWith('image/')) return claimed
  const isImage = detected?.startsWith('image/') ?? false
  // Only these are shown inline, and each of them is known by its first bytes.
  if (INLINE_TYPES.has(type)) return isImage ? claimed : UNKNOWN
  if (type.endsWith('+xml')) return detected === null || detected === 'application/xml' ? claimed : UNKNOWN
  return isImage || detected === null ? claimed : UNKNOWN
}

/** Whether a browser may show content of this type itself. */
export function mayShowInline(contentType: string): boolean {
  const type = essence(contentType)
  return type !== undefined && INLINE_TYPES.has(type)
}

function essence(contentType: string): string | undefined {
  return MIMEType.parse(contentType)?.essence
}
