import type { RequestListener } from 'node:http'
import { expect } from 'vitest'
import type { Attack, HostileWorld } from '../harness/hostile-world.ts'
import {
  htmlPage,
  oembedLink,
  og,
  pageWorld,
  previewPage,
  redirectTo,
  refresh,
  UNAVAILABLE,
} from '../harness/page-world.ts'

let links = 0

const described = (value: unknown): RequestListener => {
  return (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** Pages that lead to an address in every way there is. */
const WAYS: [what: string, page: (target: string) => string][] = [
  ['a redirect', (target) => pageWorld.site.page(redirectTo(target))],
  ['a redirect after another', (target) => pageWorld.site.page(redirectTo(pageWorld.site.page(redirectTo(target))))],
  ['a refresh', (target) => pageWorld.site.page(refresh(target))],
  ['an image of Open Graph', (target) => pageWorld.site.page(og('image', target))],
  ['a secure image', (target) => pageWorld.site.page(og('image:secure_url', target))],
  ['an image of a Twitter card', (target) => pageWorld.site.page(`<meta name="twitter:image" content="${target}">`)],
  [
    'an image of JSON-LD',
    (target) =>
      pageWorld.site.page(
        `<script type="application/ld+json">${JSON.stringify({ '@type': 'Article', name: 'x', image: target })}</script>`,
      ),
  ],
  ['an image of the body', (target) => pageWorld.site.page(`<img src="${target}">`)],
  ['a linked image', (target) => pageWorld.site.page(`<link rel="image_src" href="${target}">`)],
  ['an icon', (target) => pageWorld.site.page(`<link rel="apple-touch-icon" href="${target}">`)],
  ['a base', (target) => pageWorld.site.page(`<base href="${target}">${og('image', 'a.png')}${oembedLink('o')}`)],
  ['an image that redirects', (target) => pageWorld.site.page(og('image', pageWorld.site.page(redirectTo(target))))],
  ['oEmbed', (target) => pageWorld.site.page(oembedLink(target))],
  ['oEmbed that redirects', (target) => pageWorld.site.page(oembedLink(pageWorld.site.page(redirectTo(target))))],
  [
    'a picture of oEmbed',
    (target) => pageWorld.site.page(oembedLink(pageWorld.site.page(described({ thumbnail_url: target })))),
  ],
  [
    'a photo of oEmbed',
    (target) => pageWorld.site.page(oembedLink(pageWorld.site.page(described({ type: 'photo', url: target })))),
  ],
]

const privateUrl = (host: string, scheme = 'http') => `${scheme}://${host}:${pageWorld.service.port}/${links++}`

/** Asserts that previews of pages never connect to the target, and that none says anything about it. */
async function expectUnreached(world: HostileWorld, urls: readonly string[]): Promise<void> {
  const before = pageWorld.service.connections()
  await Promise.all(
    urls.map(async (url) => {
      const { status, body } = await previewPage(world, url)
      if (status === 200) expect(body['og:image'], url).toBeUndefined()
      else if (status === 502) expect(body, url).toEqual(UNAVAILABLE)
      else expect([status, body.errcode], url).toEqual([400, 'M_INVALID_PARAM'])
    }),
  )
  expect(pageWorld.service.connections()).toBe(before)
}

/** This machine and private networks, in every form that some parser accepts. */
const HOSTS: Record<string, string[]> = {
  'IPv4 addresses in short, decimal, octal and hexadecimal forms': [
    ...['127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001'],
    ...['0x7f.0.1', '127.0.0.1.', '127.255.255.254'],
  ],
  'zero in several forms': ['0', '0.0.0.0', '0x0', '00000', '[::]'],
  'addresses in characters that stand for others': [
    ...['127%2e0%2e0%2e1', '127.0.0.%31', '１２７.０.０.１', '①②⑦.0.0.1', '127。0。0。1', '127.0.0\u00ad.1'],
  ],
  'names of this machine': [
    ...['localhost', 'LOCALHOST', 'localhost.', 'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ', 'ip6-localhost', 'LocalHost.localdomain'],
  ],
  'IPv6 addresses': ['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[fc00::1]', '[fec0::1]', '[fe80::1]', '[ff02::1]'],
  'IPv6 addresses with a zone': ['[fe80::1%25lo]', '[::1%25lo]', '[::1%lo]'],
  'IPv4 addresses mapped into IPv6': [
    ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::FFFF:7F00:0001]', '[::127.0.0.1]', '[::ffff:0:7f00:1]'],
  ],
  'addresses of NAT64': ['[64:ff9b::7f00:1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::7f00:1]', '[64:ff9b::a9fe:a9fe]'],
  'addresses of 6to4 and Teredo': [
    ...['[2002:7f00:1::]', '[2002:7f00:1::1]', '[2002:a9fe:a9fe::]', '[2001:0:53aa:64c:0:0:80ff:fffe]'],
  ],
  'private networks': [
    ...['10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.169.254', '100.64.0.1', '224.0.0.1', '255.255.255.255'],
  ],
}

const DIRECT: Attack[] = Object.entries(HOSTS).map(([what, hosts]) => ({
  name: `links to ${what}`,
  async attempt(world) {
    for (const host of hosts) {
      const urls = [privateUrl(host), privateUrl(host, 'https')]
      const redirects = [
        pageWorld.site.page(redirectTo(privateUrl(host))),
        pageWorld.site.page(redirectTo(privateUrl(host, 'https'))),
      ]
      await expectUnreached(world, [...urls, ...redirects, pageWorld.site.page(og('image', privateUrl(host)))])
    }
  },
}))

const NAMED: Attack[] = Object.entries({
  'an IPv4 address of this machine': 'a-7f000001',
  'an IPv6 address of this machine': 'aaaa-00000000000000000000000000000001',
  'an IPv4-mapped address': 'aaaa-00000000000000000000ffff7f000001',
  'an address behind NAT64': 'aaaa-0064ff9b00000000000000007f000001',
  'an address of 6to4': 'aaaa-20027f00000100000000000000000001',
  'the address of a cloud’s metadata': 'a-a9fea9fe',
  'two addresses of this machine': 'a-7f000001.aaaa-00000000000000000000000000000001',
}).map(([what, labels]) => ({
  name: `a name for ${what}`,
  async attempt(world) {
    const host = `x${links++}.${labels}.answer.test`
    await expectUnreached(world, [
      privateUrl(host),
      privateUrl(host, 'https'),
      privateUrl(`${host}.`),
      ...WAYS.slice(0, 4).map(([, page]) => page(privateUrl(host))),
    ])
  },
}))

const REACHED_BY: Attack[] = WAYS.map(([what, page]) => ({
  name: `${what} to this machine`,
  async attempt(world) {
    const hosts = ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', 'a-7f000001.answer.test']
    await expectUnreached(
      world,
      hosts.map((host) => page(privateUrl(host))),
    )
  },
}))

/** The page is at a public address; its name leads to this machine when the page sends the server there again. */
const REBINDING: Attack[] = [
  ['a redirect', (target: string) => redirectTo(target)],
  ['a refresh', (target: string) => htmlPage(refresh(target))],
  ['an image', (target: string) => htmlPage(og('image', target))],
  ['oEmbed', (target: string) => htmlPage(oembedLink(target))],
].map(([what, pageTo]) => ({
  name: `${what as string} to the name of the page, which changes its address`,
  async attempt(world) {
    const host = `way${links++}.moving.test`
    const moved = (page: string) => page.replace('site.public.test', host)
    const target = new URL(moved(pageWorld.site.page(() => {})))
    const page = moved(pageWorld.site.page((pageTo as (target: string) => RequestListener)(target.href)))
    expect([200, 502]).toContain((await previewPage(world, page)).status)
    expect(pageWorld.site.asked.filter(({ url }) => url === new URL(page).pathname)).toHaveLength(1)
    expect(pageWorld.resolver.rebound(host)).toBeGreaterThan(0)
    expect(pageWorld.site.asked.filter(({ url }) => url === target.pathname)).toEqual([])
  },
}))

/** Texts that readers take for another address, or another scheme. */
const TEXTS: Attack[] = [
  ['credentials that look like a host', () => `http://site.public.test@127.0.0.1:${pageWorld.service.port}/`],
  ['a host that looks like credentials', () => `http://127.0.0.1:${pageWorld.service.port}\\@site.public.test/`],
  ['a fragment that looks like a host', () => `http://127.0.0.1:${pageWorld.service.port}#@site.public.test/`],
  ['backslashes', () => `http:\\\\127.0.0.1:${pageWorld.service.port}\\`],
  ['one slash', () => `http:/127.0.0.1:${pageWorld.service.port}/`],
  ['no slash', () => `http:127.0.0.1:${pageWorld.service.port}/`],
  ['spaces and line breaks', () => ` ht\ntp://127.0.\t0.1:${pageWorld.service.port}/\r\nHost: x `],
  ['no scheme', () => `//127.0.0.1:${pageWorld.service.port}/`],
  ['capitals', () => `HTTP://127.0.0.1:${pageWorld.service.port}/`],
  ['a file', () => 'file:///etc/passwd'],
  ['FTP', () => `ftp://127.0.0.1:${pageWorld.service.port}/`],
  ['gopher', () => `gopher://127.0.0.1:${pageWorld.service.port}/_x`],
  ['a WebSocket', () => `ws://127.0.0.1:${pageWorld.service.port}/`],
  ['data', () => 'data:text/html,<title>x</title>'],
  ['a script', () => 'javascript:alert(1)'],
  ['a view of the source', () => `view-source:http://127.0.0.1:${pageWorld.service.port}/`],
].map(([what, text]) => ({
  name: `a link with ${what as string}`,
  async attempt(world) {
    const link = (text as () => string)()
    const pagesTo = WAYS.slice(0, 4).map(([, page]) => page(link.replaceAll('"', '')))
    await expectUnreached(world, [link, ...pagesTo])
  },
}))

/** Forms of the hosts of the deny list. */
const DENIED = [
  ...[
    'denied.public.test',
    'sub.denied.public.test',
    'DENIED.public.test',
    'denied.public.test.',
    'ｄenied.public.test',
  ],
  ...['denied%2epublic.test', 'denied。public.test', 'bücher.public.test', 'xn--bcher-kva.public.test'],
]

const LISTS: Attack[] = [
  {
    name: 'hosts of the deny list in other forms',
    async attempt(world) {
      const before = pageWorld.site.asked.length
      const page = (host: string) => pageWorld.site.page('<title>A</title>').replace('site.public.test', host)
      for (const host of DENIED) expect((await previewPage(world, page(host))).status, host).toBe(403)
      expect(pageWorld.site.asked.length).toBe(before)
      for (const [, way] of WAYS) {
        const url = page('x.denied.public.test')
        expect([200, 502]).toContain((await previewPage(world, way(url))).status)
        expect(pageWorld.site.asked.filter((request) => request.url === new URL(url).pathname)).toEqual([])
      }
    },
  },
]

/** Links and pages that lead to private addresses, or to hosts of the deny list. */
export const PREVIEWS_OF_PRIVATE_ADDRESSES = [...DIRECT, ...NAMED, ...REACHED_BY, ...REBINDING, ...TEXTS, ...LISTS]
