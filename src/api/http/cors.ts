/** https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients, on every answer, errors included. */
export const CORS_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS',
  'Access-Control-Allow-Headers': 'X-Requested-With, Content-Type, Authorization, Date, If-Match, If-None-Match',
  'Access-Control-Expose-Headers': 'ETag, Location, X-Max-Bytes, Retry-After',
  'Access-Control-Max-Age': '86400',
} as const
