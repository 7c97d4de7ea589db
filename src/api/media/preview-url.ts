import { z } from 'zod'
import { previewUrl } from '../../services/media/preview-url.ts'
import { queryInteger } from '../http/fields.ts'
import { RawJson, route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url and its deprecated path. */
export const getUrlPreview = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/media/preview_url',
    '/_matrix/media/v3/preview_url',
    '/_matrix/media/r0/preview_url',
    '/_matrix/media/v1/preview_url',
  ],
  auth: 'user',
  rateLimit: 'media',
  query: z.object({ url: z.string(), ts: queryInteger.optional() }),
  async handle({ query, request }, app) {
    return new RawJson(
      await previewUrl(app, { url: query.url, at: query.ts, language: request.headers['accept-language'] }),
    )
  },
})
