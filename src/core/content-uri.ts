/** Whether a value that somebody stored can be the URI of a picture or file: clients take others for a fault. https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris */
export function isContentUri(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('mxc://')
}
