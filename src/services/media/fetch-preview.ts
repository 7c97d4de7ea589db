import { Readable } from 'node:stream'
import { fileTypeFromBuffer } from 'file-type'
import type { App } from '../../app.ts'
import { contentUriOf } from '../../core/content-uri.ts'
import type { FetchedPage, PageRequest } from '../../infra/http/page-fetch.ts'
import { IMAGE_TYPES } from '../../infra/media/thumbnails.ts'
import { insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { ContentRefusedError } from './content-refused.ts'
import { type OembedDescription, oembedOfProvider, readOembed } from './oembed.ts'
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
const OEMBED_ACCEPT = 'application/json,text/xml;q=0.5'
const IMAGE = /^image\//i
const HTML = /^(text\/html|application\/xhtml\+xml)\b/i
/** Feeds, mostly. */
const XML = /^(text\/xml|application\/(rss\+|atom\+)?xml)\b/i

/** The image of a preview could not be stored, for the reason `cause`: a fault of this server, not of the page. */
export class ImageNotStoredError extends Error {
  constructor(cause: unknown) {
    super('the image of the preview could not be stored', { cause })
    this.name = new.target.name
  }
}

/**
 * Fetches a page, an image or another file, and stores the image of its preview. Rejects if the page cannot be fetched,
 * and with ImageNotStoredError.
 */
export async function fetchPreview(app: App, url: URL, fetching: Fetching): Promise<UrlPreview> {
  const known = oembedOfProvider(url)
  const fetched = await fetchAny(app, url, fetching).then(
    (page) => ({ page }),
    (error: unknown) => ({ error }),
  )
  if ('error' in fetched && !known) throw fetched.error
  const page = 'page' in fetched ? fetched.page : undefined
  const type = page?.contentType ?? ''
  if (page && IMAGE.test(type)) return (await storeImage(app, page)) ?? {}
  if (page && /^(video|audio)\//i.test(type)) return { 'og:type': type.split('/')[0]!, 'og:title': nameOf(page.url) }
  const preview = page && isPage(page) ? await followRefreshes(app, page, fetching) : NOTHING
  const source = known ?? preview.oembed
  const described = source ? await addOembed(app, preview, { source, isKnown: known !== undefined, fetching }) : preview
  if ('error' in fetched && described === NOTHING) throw fetched.error
  return { ...described.tags, ...(await firstImage(app, described.images, fetching)) }
}

const NOTHING: PagePreview = { tags: {}, isTagged: false, images: [], oembed: undefined, refresh: undefined }

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

function fetchAny(app: App, url: URL, fetching: Fetching): Promise<FetchedPage> {
  return fetchFrom(app, url, { ...fetching, accept: PAGE_ACCEPT, maxBytes: (type) => maxBytesOf(app, type) })
}

/** Only images, pages, and content without a type, which may be a page, are read. */
function maxBytesOf({ config: { url_previews } }: App, type: string | undefined): number {
  if (IMAGE.test(type ?? '')) return url_previews.max_image_size
  return type === undefined || HTML.test(type) || XML.test(type) ? url_previews.max_page_size : 0
}

function isPage({ contentType, body }: FetchedPage): boolean {
  if (contentType !== undefined) return HTML.test(contentType) || XML.test(contentType)
  return /^\s*<(!doctype\s+html|html|head)\b/i.test(body.toString('latin1', 0, 512))
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
  let page = first
  for (let refreshes = 0; ; refreshes++) {
    const isXml = XML.test(page.contentType ?? '')
    const preview = previewOfPage(readPageMetadata(pageText(page.body, page.contentType), isXml), page.url)
    const target = preview.refresh
    if (!target || target.href === page.url.href || refreshes === MAX_REFRESHES) return preview
    const next = await fetchAny(app, target, fetching).catch(() => undefined)
    if (!next || !isPage(next)) return preview
    page = next
  }
}

/** `isKnown`: the page is of a known site, and without tags it may be another one, such as a request for consent. */
type OembedSource = { source: URL; isKnown: boolean; fetching: Fetching }

/** Adds what an oEmbed description of the page says. Tags of the page count first, and then this description. */
async function addOembed(app: App, preview: PagePreview, { source, isKnown, fetching }: OembedSource) {
  const { isTagged } = preview
  const { tags, images } = isKnown && !isTagged ? NOTHING : preview
  if (isTagged && images.length > 0) return preview
  const options = { ...fetching, accept: OEMBED_ACCEPT, maxBytes: () => MAX_OEMBED_BYTES }
  const answer = await fetchFrom(app, source, options).catch(() => undefined)
  const found = answer && readOembed(pageText(answer.body, answer.contentType))
  if (!found) return preview
  const image = resolveUrl(found.image, answer.url)
  const added = tagsOf(found)
  return {
    ...preview,
    tags: isTagged ? { ...added, ...tags } : { ...tags, ...added },
    images: image ? [image, ...images] : images,
  }
}

function tagsOf({ title, siteName, description }: OembedDescription): Record<string, string> {
  const texts = { 'og:title': title, 'og:site_name': siteName, 'og:description': description }
  return Object.fromEntries(
    Object.entries(texts).flatMap(([name, text]) => {
      const line = shorten(text, MAX_TEXT)
      return line === '' ? [] : [[name, line]]
    }),
  )
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
