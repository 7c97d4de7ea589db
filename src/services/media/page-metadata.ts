import { Parser } from 'htmlparser2'

/** The metadata of a page, in its own words and bounded. */
export type PageMetadata = {
  /** The first content of each meta element, by lower-case property, name or itemprop. */
  meta: Map<string, string>
  title: string
  heading: string
  /** The first longer paragraph. */
  paragraph: string
  base: string | undefined
  /** The target of a refresh. */
  refresh: string | undefined
  /** By lower-case rel. */
  links: { rel: string; type: string; href: string }[]
  /** Larger images of the body, in order. */
  images: string[]
  /** Texts of JSON-LD. */
  data: string[]
}

const MAX_META = 200
const MAX_LINKS = 100
const MAX_IMAGES = 5
const MAX_DATA = 5
const MAX_VALUE = 5000
const MAX_DATA_LENGTH = 200_000
const MAX_DEPTH = 512
const MAX_ELEMENTS = 50_000
const CHUNK = 64 * 1024
const SMALLEST_IMAGE = 64
const SHORTEST_PARAGRAPH = 40
/** Elements whose text is not the page's. */
const ASIDE = new Set([
  ...['script', 'style', 'noscript', 'template', 'svg', 'nav', 'header', 'footer', 'aside', 'form', 'button'],
  ...['dialog', 'iframe', 'object', 'select', 'textarea'],
])
const CONSENT = /\b(cookie|consent|gdpr)/i

/**
 * Reads the metadata of a page. Stops early in pages that are nested deeper, or have more elements, than real ones, and
 * before the body if Open Graph tags have said enough. `isXml`: a feed, for example.
 */
export function readPageMetadata(html: string, isXml = false): PageMetadata {
  const reader = createReader()
  let isOver = false
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        isOver ||= !reader.open(name, attributes)
      },
      ontext: reader.text,
      onclosetag: reader.close,
    },
    { decodeEntities: true, xmlMode: isXml },
  )
  for (let at = 0; at < html.length && !isOver; at += CHUNK) parser.write(html.slice(at, at + CHUNK))
  if (!isOver) parser.end()
  return reader.metadata()
}

type Reader = {
  /** False when the page is over. */
  open(name: string, attributes: Record<string, string>): boolean
  text(text: string): void
  close(name: string): void
  metadata(): PageMetadata
}

function createReader(): Reader {
  const found: PageMetadata = {
    ...{ meta: new Map(), title: '', heading: '', paragraph: '', base: undefined, refresh: undefined },
    ...{ links: [], images: [], data: [] },
  }
  let elements = 0
  let depth = 0
  /** The depths of the elements around that are aside. */
  const asides: number[] = []
  let collecting: { name: string; text: string; asides: number } | undefined

  return {
    open(name, attributes) {
      if (name === 'body' && saysEnough(found)) return false
      depth++
      elements++
      if (isAside(name, attributes)) asides.push(depth)
      readElement(found, name, { attributes, isAside: asides.length > 0 })
      if (collecting === undefined && collects(found, name, { attributes, isAside: asides.length > 0 }))
        collecting = { name, text: '', asides: asides.length }
      return depth <= MAX_DEPTH && elements <= MAX_ELEMENTS
    },
    text(text) {
      const most = collecting?.name === 'script' ? MAX_DATA_LENGTH : MAX_VALUE
      if (collecting && collecting.asides === asides.length && collecting.text.length < most)
        collecting.text += text.slice(0, most)
    },
    close(name) {
      if (asides.at(-1) === depth) asides.pop()
      depth--
      if (collecting?.name !== name) return
      keep(found, collecting)
      collecting = undefined
    },
    metadata: () => found,
  }
}

function saysEnough({ meta }: PageMetadata): boolean {
  return ['og:title', 'og:description', 'og:image'].every((name) => meta.has(name))
}

function isAside(name: string, attributes: Record<string, string>): boolean {
  const isPart = name === 'div' || name === 'section'
  return ASIDE.has(name) || (isPart && CONSENT.test(`${attributes.id} ${attributes.class}`))
}

type InPage = { attributes: Record<string, string>; isAside: boolean }

function collects(found: PageMetadata, name: string, { attributes, isAside }: InPage): boolean {
  if (name === 'script')
    return found.data.length < MAX_DATA && attributes.type?.trim().toLowerCase() === 'application/ld+json'
  if (name === 'title') return found.title === '' && !isAside
  if (name === 'h1') return found.heading === ''
  return name === 'p' && found.paragraph === '' && !isAside
}

function keep(found: PageMetadata, { name, text }: { name: string; text: string }): void {
  if (name === 'script') found.data.push(text)
  else if (name === 'title') found.title = text
  else if (name === 'h1') found.heading = text
  else if (text.trim().length >= SHORTEST_PARAGRAPH) found.paragraph = text
}

function readElement(found: PageMetadata, name: string, { attributes, isAside }: InPage): void {
  if (name === 'meta') {
    addMeta(found, attributes)
    // Many pages send browsers without scripts elsewhere, from a noscript element.
    if (!isAside && attributes['http-equiv']?.trim().toLowerCase() === 'refresh')
      found.refresh ??= refreshTarget(attributes.content)
  } else if (name === 'base') found.base ??= attributes.href
  else if (name === 'link') addLink(found, attributes)
  else if (name === 'img' && !isAside) addImage(found, attributes)
}

/** The target of a refresh without a delay, such as `0; url=/new`. */
function refreshTarget(content = ''): string | undefined {
  return content.slice(0, MAX_VALUE).match(/^\s*[01](?:\.\d{0,9})?\s*[;,]\s*(?:url\s*=\s*)?["']?([^"'\s]+)/i)?.[1]
}

function addMeta({ meta }: PageMetadata, attributes: Record<string, string>): void {
  const key = (attributes.property ?? attributes.name ?? attributes.itemprop ?? '').trim().toLowerCase()
  const content = attributes.content?.trim() ?? ''
  if (key === '' || content === '' || meta.has(key) || meta.size >= MAX_META) return
  meta.set(key.slice(0, 100), content.slice(0, MAX_VALUE))
}

function addLink({ links }: PageMetadata, { rel = '', type = '', href = '' }: Record<string, string>): void {
  if (rel === '' || href === '' || links.length >= MAX_LINKS) return
  links.push({ rel: rel.trim().toLowerCase(), type: type.trim().toLowerCase(), href })
}

/** Images without a size may be large; those with a small one are decoration, or count visitors. */
function addImage({ images }: PageMetadata, { src = '', width, height }: Record<string, string>): void {
  const isSmall = [width, height].some((size) => size !== undefined && Number.parseInt(size, 10) < SMALLEST_IMAGE)
  if (src === '' || isSmall || /^data:/i.test(src) || images.length >= MAX_IMAGES) return
  images.push(src)
}
