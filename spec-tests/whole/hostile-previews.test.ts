import type { RequestListener, ServerResponse } from 'node:http'
import sharp from 'sharp'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser } from '../harness/client.ts'
import { type Attack, describeAttacks } from '../harness/hostile-world.ts'
import {
  htmlPage,
  oembedLink,
  og,
  PAGES_PER_USER,
  pageWorld,
  previewPage,
  redirectTo,
  refresh,
  startPageWorld,
  UNAVAILABLE,
} from '../harness/page-world.ts'
import { v1 } from '../harness/rooms.ts'
import { PREVIEWS_OF_ENDLESS_PAGES } from './previews-of-endless-pages.ts'
import { PREVIEWS_OF_PRIVATE_ADDRESSES } from './previews-of-private-addresses.ts'

let versions = 0

/** Requests to the site for one preview: a page, two refreshes, oEmbed and three images, each with five redirects. */
const MAX_REQUESTS = 7 * 6

function loop(name: string, start: () => string): Attack {
  return {
    name,
    async attempt(world) {
      const before = pageWorld.site.asked.length
      expect([200, 502]).toContain((await previewPage(world, start())).status)
      expect(pageWorld.site.asked.length - before).toBeLessThanOrEqual(MAX_REQUESTS)
    },
  }
}

const toItself: RequestListener = (request, response) => redirectTo(request.url!)(request, response)
const further: RequestListener = ({ url }, response) =>
  void response.writeHead(302, { location: `${url!.split('?')[0]}?${Number(url!.split('?')[1] ?? 0) + 1}` }).end()

const LOOPS: Attack[] = [
  loop('a page that redirects to itself', () => pageWorld.site.page(toItself)),
  loop('redirects that always go further', () => pageWorld.site.page(further)),
  loop('a page that refreshes to itself under another address', () =>
    pageWorld.site.page((request, response) => htmlPage(refresh(`${request.url}?${versions++}`))(request, response)),
  ),
  loop('refreshes to redirects', () => pageWorld.site.page(refresh(pageWorld.site.page(further)))),
  loop('a page that is its own image and description', () =>
    pageWorld.site.page((request, response) => {
      const { url } = request
      htmlPage(og('image', `${url}?a`) + oembedLink(`${url}?b`) + refresh(`${url}?c`))(request, response)
    }),
  ),
  loop('images that redirect without an end', () =>
    pageWorld.site.page([1, 2, 3, 4, 5].map(() => `<img src="${pageWorld.site.page(further)}">`).join('')),
  ),
  loop('oEmbed that describes itself', () => pageWorld.site.page(oembedLink(pageWorld.site.page(further)))),
  {
    name: 'a page that leads through the preview endpoint of the server to itself',
    async attempt(world) {
      const { port } = new URL(world.url)
      const { accessToken } = world.alice
      let page = ''
      const again: RequestListener = (request, response) => {
        const next = `${page}?${Number(request.url!.split('?')[1] ?? 0) + 1}`
        const query = new URLSearchParams({ url: next, access_token: accessToken })
        redirectTo(`http://home.public.test:${port}${v1}/media/preview_url?${query}`)(request, response)
      }
      page = pageWorld.site.page(again)
      const before = pageWorld.site.asked.length
      expect(await previewPage(world, page)).toEqual({ status: 502, body: UNAVAILABLE })
      expect(pageWorld.site.asked.length - before).toBe(1)
    },
  },
]

const CROWDS: Attack[] = [
  {
    name: 'a user with many links to pages that never answer',
    async attempt(world) {
      const open = pageWorld.site.open()
      const mallory = { ...world, alice: await registerUser(world.url) }
      const held: ServerResponse[] = []
      let isOver = false
      const page = () => pageWorld.site.page((_, response) => void (isOver ? response.end() : held.push(response)))
      const all = Array.from({ length: 20 }, () => previewPage(mallory, page()))
      await pollUntil('the site is asked', () => held.length > 0)
      expect((await previewPage(world, pageWorld.site.page('<title>A</title>'))).body).toEqual({ 'og:title': 'A' })
      expect(pageWorld.site.open() - open).toBeLessThanOrEqual(PAGES_PER_USER * world.processes.length)
      isOver = true
      for (const response of held) response.end()
      await Promise.all(all)
    },
  },
  {
    name: 'many requests for one slow page',
    async attempt(world) {
      const page = pageWorld.site.page(
        (_, response) => void setTimeout(() => response.end('<html><title>A</title>'), 300),
      )
      const path = new URL(page).pathname
      const all = await Promise.all(Array.from({ length: 60 }, () => previewPage(world, page)))
      for (const { body } of all) expect(body).toEqual({ 'og:title': 'A' })
      expect(pageWorld.site.asked.filter(({ url }) => url === path)).toHaveLength(1)
    },
  },
]

const picture = (width: number) =>
  sharp({ create: { width, height: 8, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
/** Returns a PNG file that claims to have more pixels than it has. */
async function claimed(): Promise<Buffer> {
  const bytes = await picture(8)
  bytes.writeUInt32BE(60_000, 16)
  bytes.writeUInt32BE(60_000, 20)
  return bytes
}
const served = (type: string, body: () => Promise<Buffer> | string): RequestListener => {
  return async (_, response) => void response.writeHead(200, { 'content-type': type }).end(await body())
}

function unstored(what: string, type: string, body: () => Promise<Buffer> | string): Attack {
  return {
    name: `an image that is ${what}`,
    async attempt(world) {
      const image = pageWorld.site.page(served(type, body))
      for (const url of [image, pageWorld.site.page(og('image', image))])
        expect((await previewPage(world, url)).body['og:image']).toBeUndefined()
    },
  }
}

const CONTENTS: Attack[] = [
  unstored('a page', 'image/png', () => '<!DOCTYPE html><script>alert(1)</script>'),
  unstored('a drawing with a script', 'image/svg+xml', () => '<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>'),
  unstored('a picture after a page', 'image/png', () => `<html>${'x'.repeat(100)}\x89PNG\r\n`),
  unstored('larger than allowed', 'image/png', async () =>
    Buffer.concat([await picture(8), Buffer.alloc(2 * 1024 * 1024)]),
  ),
  {
    name: 'an image that claims to have billions of pixels',
    async attempt(world) {
      const { status, body } = await previewPage(world, pageWorld.site.page(served('image/png', claimed)))
      expect(status).toBe(200)
      if (body['og:image'] === undefined) return
      const media = body['og:image'].slice('mxc://'.length)
      const thumbnail = await world.alice.ask('GET', `${v1}/media/thumbnail/${media}?width=32&height=32`)
      expect([400, 413]).toContain(thumbnail.status)
    },
  },
  {
    name: 'a page that names media of this server, and sizes',
    async attempt(world) {
      const tags = ['og:image', 'og:image:url', 'og:image:width', 'matrix:image:size', 'twitter:image']
      const page = tags.map((each) => `<meta property="${each}" content="mxc://${world.home.serverName}/x">`).join('')
      expect((await previewPage(world, pageWorld.site.page(page))).body).toEqual({})
    },
  },
  {
    name: 'a page with tags that are properties of every object',
    async attempt(world) {
      const names = ['__proto__', 'constructor', 'toString', 'og:__proto__', 'og:constructor']
      const page = names.map((each) => `<meta property="${each}" content="x">`).join('')
      const { body } = await previewPage(world, pageWorld.site.page(page))
      expect(Object.keys(body).sort()).toEqual(['og:__proto__', 'og:constructor'])
    },
  },
  {
    name: 'a page whose texts hold markup, NUL, and characters that turn the direction',
    async attempt(world) {
      const page = `${og('title', '&lt;b&gt;\u202egnp\u0000')}${og('description', `\ud83d${'x'.repeat(100_000)}`)}`
      const { body } = await previewPage(world, pageWorld.site.page(page))
      expect(body['og:title']).toMatch(/^<b> gnp/)
      expect(JSON.stringify(body)).not.toMatch(/\\u0000|\u202e/)
      expect(body['og:description'].length).toBeLessThanOrEqual(1000)
    },
  },
]

const KNOWN_HEADERS = ['accept', 'accept-encoding', 'accept-language', 'connection', 'host', 'user-agent']

const LEAKS: Attack[] = [
  {
    name: 'a site that wants to know the user',
    async attempt(world) {
      const before = pageWorld.site.asked.length
      const end = pageWorld.site.page('<title>A</title>')
      const start = pageWorld.site.page(
        (_, response) => void response.writeHead(302, { location: end, 'set-cookie': 'id=1; Path=/' }).end(),
      )
      await previewPage(world, start, {
        cookie: 'a=b',
        referer: 'https://client.example',
        'x-forwarded-for': '203.0.113.9',
      })
      await previewPage(world, `${end}?again`)
      const asked = pageWorld.site.asked.slice(before)
      expect(asked).toHaveLength(3)
      for (const { headers } of asked)
        expect(Object.keys(headers).filter((name) => !KNOWN_HEADERS.includes(name))).toEqual([])
    },
  },
  {
    name: 'languages that are none',
    async attempt(world) {
      const before = pageWorld.site.asked.length
      for (const language of ['x'.repeat(5000), 'de\u00ff', '<script>', "'; drop table users"])
        await previewPage(world, pageWorld.site.page('<title>A</title>'), { 'accept-language': language })
      const languages = pageWorld.site.asked.slice(before).map(({ headers }) => headers['accept-language'])
      expect(languages).toEqual([undefined, undefined, undefined, undefined])
    },
  },
  {
    name: 'questions about services behind the server, by the answers',
    async attempt(world) {
      const urls = [
        `http://127.0.0.1:${pageWorld.service.port}/`,
        'http://127.0.0.1:1/',
        'http://10.255.255.1/',
        'http://nothing.invalid/',
      ]
      for (const url of [...urls, pageWorld.site.page((request) => void request.socket.destroy())])
        expect(await previewPage(world, url)).toEqual({ status: 502, body: UNAVAILABLE })
    },
  },
]

describeAttacks(
  'URL previews',
  [...PREVIEWS_OF_PRIVATE_ADDRESSES, ...PREVIEWS_OF_ENDLESS_PAGES, ...LOOPS, ...CROWDS, ...CONTENTS, ...LEAKS],
  startPageWorld,
)
