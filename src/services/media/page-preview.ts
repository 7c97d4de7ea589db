import type { PageMetadata } from './page-metadata.ts'
import { readStructuredData, type StructuredData } from './structured-data.ts'

/** The preview of a page before its image is fetched. `images`: in order of preference. */
export type PagePreview = {
  tags: Record<string, string>
  /** Whether Open Graph or Twitter cards name the page. */
  isTagged: boolean
  images: URL[]
  /** Where an oEmbed description of the page is. */
  oembed: URL | undefined
  /** The page that replaces this one immediately, if this one has no tags of its own. */
  refresh: URL | undefined
}

const MAX_TITLE = 300
const MAX_DESCRIPTION = 1000
const MAX_TAG = 1000
const MAX_TAGS = 50
/** Characters of all tags. */
const MAX_TAGS_LENGTH = 10_000
const MAX_IMAGES = 3
const MAX_URL = 2048
/** Of the image, which is described as it was stored. */
const OF_IMAGE = /^og:image(:(?!alt$)|$)/

/**
 * Composes the preview: Open Graph tags count first, then Twitter cards, JSON-LD and plain HTML.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
 */
export function previewOfPage(page: PageMetadata, pageUrl: URL): PagePreview {
  const base = resolveUrl(page.base, pageUrl) ?? pageUrl
  const data = readStructuredData(page.data)
  const { meta } = page
  const isTagged = meta.has('og:title') || meta.has('twitter:title')
  const tags = otherTags(meta)
  const title = firstOf([meta.get('og:title'), meta.get('twitter:title'), data.title, page.title, page.heading])
  const description = firstOf([
    ...[meta.get('og:description'), meta.get('twitter:description'), data.description],
    ...[meta.get('description'), meta.get('dc.description'), page.paragraph],
  ])
  const siteName = firstOf([meta.get('og:site_name'), meta.get('application-name')])
  if (title !== '') tags['og:title'] = shorten(title, MAX_TITLE)
  if (description !== '') tags['og:description'] = shorten(description, MAX_DESCRIPTION)
  if (siteName !== '') tags['og:site_name'] = shorten(siteName, MAX_TITLE)
  return {
    tags: withoutEmpty(tags),
    isTagged,
    images: imagesOf(page, data, base),
    oembed: resolveUrl(page.links.filter(isOembed).sort(jsonFirst)[0]?.href, base),
    refresh: isTagged ? undefined : resolveUrl(page.refresh, base),
  }
}

/** Returns the tags of Open Graph as they are, except those of the image. */
function otherTags(meta: PageMetadata['meta']): Record<string, string> {
  const tags: Record<string, string> = {}
  let left = MAX_TAGS_LENGTH
  for (const [name, value] of meta) {
    if (!/^og:[a-z0-9:_-]+$/.test(name) || OF_IMAGE.test(name) || Object.keys(tags).length >= MAX_TAGS) continue
    const text = shorten(value, MAX_TAG)
    left -= name.length + text.length
    if (left >= 0) tags[name] = text
  }
  return tags
}

/** Returns an address on the web that a page names, or undefined. */
export function resolveUrl(text: string | undefined, base: URL): URL | undefined {
  if (text === undefined || text.length > MAX_URL || !URL.canParse(text.trim(), base.href)) return undefined
  const url = new URL(text.trim(), base)
  url.hash = ''
  return isWebUrl(url) ? url : undefined
}

/** Whether a URL is one of the web, without credentials. */
export function isWebUrl({ protocol, username, password, href }: URL): boolean {
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '' && href.length <= MAX_URL
}

/** Returns text in one line, without control characters, and at most `most` characters long. */
export function shorten(text: string, most: number): string {
  const line = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL cannot be stored, and the others are never meant
    .replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\s]+/g, ' ')
    .trim()
    .toWellFormed()
  const characters = [...line.slice(0, 2 * most + 2)]
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : line
}

function imagesOf({ meta, links, images }: PageMetadata, data: StructuredData, base: URL): URL[] {
  const named = [
    ...['og:image:secure_url', 'og:image', 'og:image:url', 'twitter:image', 'twitter:image:src', 'thumbnail'].map(
      (name) => meta.get(name),
    ),
    ...[data.image, meta.get('image'), links.find(({ rel }) => rel === 'image_src')?.href],
    ...images,
    ...links.filter(({ rel }) => /^apple-touch-icon/.test(rel)).map(({ href }) => href),
  ]
  const urls = named.flatMap((text) => resolveUrl(text, base) ?? [])
  return [...new Map(urls.map((url) => [url.href, url])).values()].slice(0, MAX_IMAGES)
}

function isOembed({ rel, type }: PageMetadata['links'][number]): boolean {
  return rel.split(/\s+/).includes('alternate') && /^(application\/json|(text|application)\/xml)\+oembed$/.test(type)
}

function jsonFirst(one: { type: string }, other: { type: string }): number {
  return Number(other.type.includes('json')) - Number(one.type.includes('json'))
}

function firstOf(texts: readonly (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text.trim() !== '') ?? ''
}

function withoutEmpty(tags: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== ''))
}
