import { Readable } from 'node:stream'
import { fileTypeFromBuffer } from 'file-type'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { contentUriOf } from '../../core/content-uri.ts'
import type { FetchedPage, PageRequest } from '../../infra/http/page-fetch.ts'
import { IMAGE_TYPES } from '../../infra/media/thumbnails.ts'
import { insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { ContentRefusedError } from './content-refused.ts'
import { readPageMetadata } from './page-metadata.ts'
import { isWebUrl, type PagePreview, previewOfPage, resolveUrl, shorten } from './page-preview.ts'
import { pageText } from './page-text.ts'
import { storeFile } from './store-file.ts'
import { newMediaName } from './upload-media.ts'

/** The response of the endpoint: texts, and numbers of the image. */
export type UrlPreview = Record<string, string | number>

type Fetching = { language: string | undefined; signal: AbortSignal }

const MAX_REFRESHES = 2
const MAX_OEMBED_BYTES = 64 * 1024
const MAX_TEXT = 300
const PAGE_ACCEPT = 'text/html,application/xhtml+xml;q=0.9,image/*;q=0.8,*/*;q=0.5'
const IMAGE = /^image\//i
const HTML = /^(text\/html|application\/xhtml\+xml)\b/i

const oembed = z.object({
  title: z.string().optional().catch(undefined),
  author_name: z.string().optional().catch(undefined),
  provider_name: z.string().optional().catch(undefined),
  thumbnail_url: z.string().optional().catch(undefined),
  type: z.string().optional().catch(undefined),
  url: z.string().optional().catch(undefined),
})

/** The image of a preview could not be stored, for the reason `cause`: a fault of this server, not of the page. */
export class ImageNotStoredError extends Error {
  constructor(cause: unknown) {
    super('the image of the preview could not be stored', { cause })
    this.name = new.target.name
  }
}

/**
 * Fetches a page or an image, and stores the image of its preview. Rejects if the page cannot be fetched, and with
 * ImageNotStoredError.
 */
export async function fetchPreview(app: App, url: URL, fetching: Fetching): Promise<UrlPreview> {
  const page = await fetchFrom(app, url, {
    ...fetching,
    accept: PAGE_ACCEPT,
    maxBytes: (type) => maxBytesOf(app, type),
  })
  const type = page.contentType ?? ''
  if (IMAGE.test(type)) return (await storeImage(app, page)) ?? {}
  if (/^video\//i.test(type)) return { 'og:type': 'video', 'og:title': nameOf(page.url) }
  if (!HTML.test(type) && !looksLikeHtml(page)) return {}
  const preview = await followRefreshes(app, page, fetching)
  const described = preview.oembed ? await addOembed(app, preview, fetching) : preview
  return { ...described.tags, ...(await firstImage(app, described.images, fetching)) }
}

/** Whether the configuration allows a page at this place. Its address is checked when a connection is made. */
export function isAllowedPage({ config }: Pick<App, 'config'>, url: URL): boolean {
  const { allow, deny } = config.url_previews
  const host = url.hostname.toLowerCase().replace(/\.$/, '')
  const isIn = (names: readonly string[]) => names.some((name) => host === name || host.endsWith(`.${name}`))
  return isWebUrl(url) && !isIn(deny) && (allow.length === 0 || isIn(allow))
}

function fetchFrom(
  app: App,
  url: URL,
  { language, ...options }: Fetching & Pick<PageRequest, 'accept' | 'maxBytes'>,
): Promise<FetchedPage> {
  return app.fetchPage(url, { ...options, acceptLanguage: language, isAllowed: (each) => isAllowedPage(app, each) })
}

/** Only images, pages, and content without a type, which may be a page, are read. */
function maxBytesOf({ config: { url_previews } }: App, type: string | undefined): number {
  if (IMAGE.test(type ?? '')) return url_previews.max_image_size
  return type === undefined || HTML.test(type) ? url_previews.max_page_size : 0
}

function looksLikeHtml({ contentType, body }: FetchedPage): boolean {
  return contentType === undefined && /^\s*<(!doctype\s+html|html|head)\b/i.test(body.toString('latin1', 0, 512))
}

function nameOf(url: URL): string {
  const name = url.pathname.split('/').at(-1) ?? ''
  try {
    return shorten(decodeURIComponent(name), MAX_TEXT) || url.hostname
  } catch {
    return shorten(name, MAX_TEXT)
  }
}

/** Pages that only lead to another one have no preview of their own. */
async function followRefreshes(app: App, first: FetchedPage, fetching: Fetching): Promise<PagePreview> {
  const options = { ...fetching, accept: PAGE_ACCEPT, maxBytes: () => app.config.url_previews.max_page_size }
  let page = first
  for (let refreshes = 0; ; refreshes++) {
    const preview = previewOfPage(readPageMetadata(pageText(page.body, page.contentType)), page.url)
    const target = preview.refresh
    if (!target || target.href === page.url.href || refreshes === MAX_REFRESHES) return preview
    const next = await fetchFrom(app, target, options).catch(() => undefined)
    if (!next || !HTML.test(next.contentType ?? '')) return preview
    page = next
  }
}

/** Adds what the page's oEmbed description says, where the page itself says nothing. */
async function addOembed(app: App, preview: PagePreview, fetching: Fetching): Promise<PagePreview> {
  const { tags, images } = preview
  if (tags['og:title'] !== undefined && images.length > 0) return preview
  const options = { ...fetching, accept: 'application/json', maxBytes: () => MAX_OEMBED_BYTES }
  const answer = await fetchFrom(app, preview.oembed!, options).catch(() => undefined)
  const found = answer && oembed.safeParse(parse(answer.body)).data
  if (!answer || !found) return preview
  const title = shorten(found.title ?? '', MAX_TEXT)
  const site = shorten(found.provider_name ?? found.author_name ?? '', MAX_TEXT)
  const address = found.thumbnail_url ?? (found.type === 'photo' ? found.url : undefined)
  const image = resolveUrl(address, answer.url)
  return {
    ...preview,
    tags: { ...(title !== '' && { 'og:title': title }), ...(site !== '' && { 'og:site_name': site }), ...tags },
    images: image ? [image, ...images] : images,
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** Returns the tags of the first image that can be fetched and is one. */
async function firstImage(app: App, urls: readonly URL[], fetching: Fetching): Promise<UrlPreview> {
  const options = { ...fetching, accept: 'image/*', maxBytes: () => app.config.url_previews.max_image_size }
  for (const url of urls) {
    const image = await fetchFrom(app, url, options).catch(() => undefined)
    const stored = image && (await storeImage(app, image))
    if (stored) return stored
  }
  return {}
}

/** Stores an image as media of this server, which expires as remote media do. Undefined if it is no image, or refused. */
async function storeImage(app: App, { body, isWhole }: FetchedPage): Promise<UrlPreview | undefined> {
  const { max_image_size } = app.config.url_previews
  if (!isWhole || body.length > Math.min(max_image_size, app.config.media.max_upload_size)) return undefined
  const type = (await fileTypeFromBuffer(body))?.mime
  if (type === undefined || !IMAGE_TYPES.includes(type)) return undefined
  const size = await app.media.thumbnailer.measure(body)
  if (!size) return undefined
  const name = newMediaName(app)
  try {
    await storeFile(app, Readable.from([body]), (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, contentType: type, filename: null, sha256, now: app.clock.now() }),
    )
  } catch (error) {
    if (error instanceof ContentRefusedError) return undefined
    throw new ImageNotStoredError(error)
  }
  return {
    'og:image': contentUriOf(name),
    'og:image:type': type,
    'og:image:width': size.width,
    'og:image:height': size.height,
    'matrix:image:size': body.length,
  }
}
