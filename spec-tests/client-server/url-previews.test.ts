import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url */
const { url: homeserver } = inject('homeserver')
let alice: TestUser
let site: Server
let origin: string
let image: Buffer
const asked: IncomingMessage[] = []
const v1 = '/_matrix/client/v1/media/preview_url'

type Page = { type?: string; body: string | Buffer; status?: number }
const pages = new Map<string, Page>()

beforeAll(async () => {
  image = await sharp({ create: { width: 80, height: 40, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  site = createServer((request, response) => {
    asked.push(request)
    const page = pages.get(request.url!)
    // Slow enough that concurrent requests meet.
    setTimeout(() => {
      response.writeHead(page?.status ?? (page ? 200 : 404), { 'content-type': page?.type ?? 'text/html' })
      response.end(page?.body)
    }, 200)
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
  pages.set('/image.png', { type: 'image/png', body: image })
  alice = await registerUser(homeserver)
})
afterAll(() => site.close())

const countOf = (path: string) => asked.filter((request) => request.url === path).length

async function preview(path: string, { at = v1, language = '', query = '' } = {}) {
  const response = await fetch(`${homeserver}${at}?url=${encodeURIComponent(origin + path)}${query}`, {
    headers: { Authorization: `Bearer ${alice.accessToken}`, ...(language !== '' && { 'Accept-Language': language }) },
  })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  return { status: response.status, body: (await response.json()) as any }
}

test('a page has its tags, and its image as media of this server', async () => {
  const body = `<title>x</title><meta property="og:title" content="Größe"><meta property="og:image" content="/image.png">`
  pages.set('/page', { body })
  const { status, body: found } = await preview('/page')
  expect([status, found]).toEqual([
    200,
    {
      'og:title': 'Größe',
      'og:image': expect.stringMatching(/^mxc:\/\//),
      'og:image:type': 'image/png',
      'og:image:width': 80,
      'og:image:height': 40,
      'matrix:image:size': image.length,
    },
  ])
  const media = found['og:image'].slice('mxc://'.length)
  const download = await fetch(`${homeserver}/_matrix/client/v1/media/download/${media}`, {
    headers: { Authorization: `Bearer ${alice.accessToken}` },
  })
  expect(Buffer.from(await download.arrayBuffer()).equals(image)).toBe(true)
  const thumbnail = await fetch(`${homeserver}/_matrix/client/v1/media/thumbnail/${media}?width=40&height=20`, {
    headers: { Authorization: `Bearer ${alice.accessToken}` },
  })
  expect(await sharp(await thumbnail.arrayBuffer()).metadata()).toMatchObject({ format: 'png' })
})

test('concurrent requests fetch a page once, at all processes, and later ones not again', async () => {
  pages.set('/once', { body: '<title>Once</title>' })
  const all = await Promise.all(Array.from({ length: 12 }, () => preview('/once')))
  for (const { status, body } of all) expect([status, body]).toEqual([200, { 'og:title': 'Once' }])
  await preview('/once', { at: '/_matrix/media/v3/preview_url' })
  await preview('/once', { query: `&ts=${Date.now() - 1000}` })
  expect(countOf('/once')).toBe(1)
})

test('a failure is 502, and not tried again immediately', async () => {
  for (const _ of [1, 2, 3])
    expect(await preview('/missing')).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
  expect(countOf('/missing')).toBe(1)
})

test('the language of the client is passed on, and has a preview of its own', async () => {
  pages.set('/language', { body: '<title>x</title>' })
  await preview('/language', { language: 'de' })
  await preview('/language', { language: 'fr' })
  const languages = asked
    .filter((request) => request.url === '/language')
    .map((each) => each.headers['accept-language'])
  expect(languages).toEqual(['de', 'fr'])
})

test('an image is its own preview', async () => {
  expect((await preview('/image.png')).body).toMatchObject({ 'og:image:width': 80, 'matrix:image:size': image.length })
})

test('what is neither page nor image has an empty preview', async () => {
  pages.set('/archive', { type: 'application/zip', body: 'PK' })
  expect(await preview('/archive')).toEqual({ status: 200, body: {} })
})

test('an image that is none, or a drawing, is left out', async () => {
  pages.set('/svg', { type: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' })
  pages.set('/fake', { type: 'image/png', body: '<html>' })
  pages.set('/no-image', { body: '<title>A</title><img src="/svg"><img src="/fake"><img src="/gone">' })
  expect(await preview('/no-image')).toEqual({ status: 200, body: { 'og:title': 'A' } })
})

test('oEmbed completes a page that says little', async () => {
  const link = '<link rel="alternate" type="application/json+oembed" href="/oembed.json">'
  pages.set('/little', { body: link })
  const described = { type: 'video', title: 'Film', provider_name: 'Tube', thumbnail_url: '/image.png', html: '<b>' }
  pages.set('/oembed.json', { type: 'application/json', body: JSON.stringify(described) })
  expect((await preview('/little')).body).toMatchObject({
    'og:title': 'Film',
    'og:site_name': 'Tube',
    'og:image': expect.stringMatching(/^mxc:/),
  })
})

test('a page that only refreshes is replaced, and a loop ends', async () => {
  pages.set('/old', { body: '<meta http-equiv=refresh content="0;url=/new">' })
  pages.set('/new', { body: '<title>New</title>' })
  expect((await preview('/old')).body).toEqual({ 'og:title': 'New' })
  pages.set('/ping', { body: '<title>Ping</title><meta http-equiv=refresh content="0;url=/pong">' })
  pages.set('/pong', { body: '<title>Pong</title><meta http-equiv=refresh content="0;url=/ping">' })
  expect((await preview('/ping')).body).toEqual({ 'og:title': 'Ping' })
  expect(countOf('/ping') + countOf('/pong')).toBe(3)
})

test.each(['', 'x', '/path', 'ftp://a.example/', 'file:///etc/passwd', 'http://a:b@c.example/', 'http://['])(
  'the URL %j is refused',
  async (url) => {
    expect(await alice.ask('GET', `${v1}?url=${encodeURIComponent(url)}`)).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  },
)
