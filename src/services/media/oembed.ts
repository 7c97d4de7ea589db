import { Parser } from 'htmlparser2'
import { z } from 'zod'

/** The metadata of a page in an oEmbed response. `image`: an address. https://oembed.com */
export type OembedDescription = { title: string; siteName: string; description: string; image: string | undefined }

const text = z.string().optional().catch(undefined)
const response = z.object({
  type: text,
  title: text,
  author_name: text,
  provider_name: text,
  thumbnail_url: text,
  url: text,
  html: text,
})

/**
 * Endpoints of sites whose pages do not name theirs, or show other content to unknown visitors, such as a request for
 * consent. Each host stands for its subdomains too.
 */
const PROVIDERS: readonly [hosts: readonly string[], path: RegExp, endpoint: string][] = [
  [['youtube.com', 'youtu.be'], /./, 'https://www.youtube.com/oembed?format=json'],
  [['twitter.com', 'x.com'], /\/status\/\d/, 'https://publish.x.com/oembed?omit_script=true'],
  [['tiktok.com'], /\/video\/\d/, 'https://www.tiktok.com/oembed'],
  [['reddit.com'], /\/comments\//, 'https://www.reddit.com/oembed'],
  [['open.spotify.com'], /./, 'https://open.spotify.com/oembed'],
  [['soundcloud.com'], /./, 'https://soundcloud.com/oembed?format=json'],
  [['vimeo.com'], /\/\d/, 'https://vimeo.com/api/oembed.json'],
]

/** Returns where the oEmbed description of a page of a known site is. */
export function oembedOfProvider(page: URL): URL | undefined {
  const isOf = (host: string) => page.hostname === host || page.hostname.endsWith(`.${host}`)
  const found = PROVIDERS.find(([hosts, path]) => hosts.some(isOf) && path.test(page.pathname))
  if (!found) return undefined
  const endpoint = new URL(found[2])
  endpoint.searchParams.set('url', page.href)
  return endpoint
}

/** Reads a response in JSON or XML. Undefined if it is neither. */
export function readOembed(body: string): OembedDescription | undefined {
  const found = response.safeParse(/^\s*</.test(body) ? parseXml(body) : parseJson(body)).data
  if (!found) return undefined
  return {
    title: found.title || found.author_name || '',
    siteName: found.provider_name ?? '',
    description: found.type === 'rich' ? textIn(found.html ?? '') : '',
    image: found.thumbnail_url ?? (found.type === 'photo' ? found.url : undefined),
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** Returns the texts of the elements within the outermost one. */
function parseXml(body: string): Record<string, string> | undefined {
  const texts = new Map<string, string>()
  const open: string[] = []
  const parser = new Parser(
    {
      onopentag: (name) => void open.push(name),
      ontext(part) {
        if (open.length === 2 && open[0] === 'oembed') texts.set(open[1]!, (texts.get(open[1]!) ?? '') + part)
      },
      onclosetag: () => void open.pop(),
    },
    { xmlMode: true },
  )
  parser.end(body)
  return texts.size > 0 ? Object.fromEntries(texts) : undefined
}

/** Returns the text of HTML without that of scripts and styles. */
function textIn(html: string): string {
  let found = ''
  let aside = 0
  const isAside = (name: string) => name === 'script' || name === 'style'
  const parser = new Parser({
    onopentag(name) {
      if (isAside(name)) aside++
      found += ' '
    },
    ontext(part) {
      if (aside === 0) found += part
    },
    onclosetag(name) {
      if (isAside(name)) aside--
      found += ' '
    },
  })
  parser.end(html)
  return found
}
