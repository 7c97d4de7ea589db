import type { AnyEndpoint } from '../http/route.ts'
import { getDownload, getUnauthenticatedDownload } from './download.ts'
import { getMediaConfig } from './media-config.ts'
import { getUrlPreview } from './preview-url.ts'
import { getThumbnail, getUnauthenticatedThumbnail } from './thumbnail-media.ts'
import { postCreateMedia, postUpload, putUpload } from './upload-media.ts'

/** The content repository: https://spec.matrix.org/v1.19/client-server-api/#content-repository */
export const mediaEndpoints: AnyEndpoint[] = [
  postUpload,
  postCreateMedia,
  putUpload,
  getDownload,
  getUnauthenticatedDownload,
  getThumbnail,
  getUnauthenticatedThumbnail,
  getMediaConfig,
  getUrlPreview,
]
