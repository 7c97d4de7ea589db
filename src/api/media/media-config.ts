import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig and its deprecated path. */
export const getMediaConfig = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/media/config',
    '/_matrix/media/v3/config',
    '/_matrix/media/r0/config',
    '/_matrix/media/v1/config',
  ],
  auth: 'user',
  guests: true,
  rateLimit: 'media',
  handle: (_call, app) => ({ 'm.upload.size': app.config.media.max_upload_size }),
})
