/**
 * Whether a stored value is a valid URI of a file: clients treat others as an error.
 * https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris
 */
export function isContentUri(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('mxc://')
}
