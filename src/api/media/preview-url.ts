import { z } from 'zod'
import { ForbiddenError } from '../../core/errors.ts'
import { PAGE_FETCH_USER_AGENT } from '../../infra/http/page-fetch.ts'
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
  rateLimit: 'preview',
  query: z.object({ url: z.string(), ts: queryInteger.optional() }),
  async handle({ query, request: { headers } }, app) {
    // A page can lead to this endpoint, with a token and a URL that leads here again.
    if (headers['user-agent'] === PAGE_FETCH_USER_AGENT) throw new ForbiddenError('Previews have no previews')
    return new RawJson(await previewUrl(app, { url: query.url, at: query.ts, language: headers['accept-language'] }))
  },
})
