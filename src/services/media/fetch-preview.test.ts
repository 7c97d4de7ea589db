import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FetchPage } from '../../infra/http/page-fetch.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { fetchPreview } from './fetch-preview.ts'

/** The web: pages by URL. */
const web = new Map<string, { type: string; body: Buffer | string }>()
const fetchPage: FetchPage = async (url, { maxBytes }) => {
  const page = web.get(url.href)
  if (!page) throw new Error('no such page')
  const body = Buffer.from(page.body).subarray(0, maxBytes(page.type))
  return { url, contentType: page.type, body, isWhole: body.length === page.body.length }
}

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ fetchPage })
  const image = sharp({ create: { width: 80, height: 40, channels: 3, background: 'red' } }).withMetadata({
    orientation: 6,
  })
  web.set('https://i.example/a.jpg', { type: 'image/jpeg', body: await image.jpeg().toBuffer() })
})
afterAll(() => app.close())

function preview(url: string) {
  return fetchPreview(app, new URL(url), { language: undefined, signal: AbortSignal.timeout(10_000) })
}
const page = (url: string, body: string, type = 'text/html') => void web.set(url, { type, body })
const json = (url: string, value: object) => page(url, JSON.stringify(value), 'application/json')
const link = (href: string, type = 'application/json+oembed') => `<link rel="alternate" type="${type}" href="${href}">`

test('an image has the size that it has upright', async () => {
  expect(await preview('https://i.example/a.jpg')).toMatchObject({ 'og:image:width': 40, 'og:image:height': 80 })
})

test.each([
  ['video/mp4', 'https://v.example/My%20film.mp4?x', { 'og:type': 'video', 'og:title': 'My film.mp4' }],
  ['audio/ogg', 'https://v.example/', { 'og:type': 'audio', 'og:title': 'v.example' }],
  ['application/pdf', 'https://v.example/a.pdf', {}],
  ['application/rss+xml; charset=utf-8', 'https://v.example/feed', { 'og:title': 'Feed' }],
  ['application/xml', 'https://v.example/sitemap', { 'og:title': 'Feed' }],
])('%s', async (type, url, expected) => {
  page(url, '<?xml version="1.0"?><rss><channel><title>Feed</title></channel></rss>', type)
  expect(await preview(url)).toEqual(expected)
})

test('oEmbed names a page that has only a title', async () => {
  page('https://o.example/', `<title>Film - Tube</title>${link('/o')}`)
  json('https://o.example/o', {
    type: 'video',
    title: 'Film',
    provider_name: 'Tube',
    thumbnail_url: '//i.example/a.jpg',
  })
  expect(await preview('https://o.example/')).toMatchObject({
    'og:title': 'Film',
    'og:site_name': 'Tube',
    'og:image': expect.stringMatching(/^mxc:/),
  })
})

test('tags of the page count more than oEmbed, which completes them', async () => {
  page('https://t.example/', `<meta property="og:title" content="Tag">${link('/o')}`)
  json('https://t.example/o', { type: 'photo', title: 'Other', provider_name: 'Tube', url: 'https://i.example/a.jpg' })
  expect(await preview('https://t.example/')).toMatchObject({
    'og:title': 'Tag',
    'og:site_name': 'Tube',
    'og:image:width': 40,
  })
})

test('oEmbed in XML', async () => {
  page('https://x.example/', link('/o', 'text/xml+oembed'))
  const xml =
    '<?xml version="1.0"?><oembed><type>link</type><title>A &amp; <![CDATA[B]]></title><html>&lt;b></html></oembed>'
  page('https://x.example/o', xml, 'text/xml')
  expect(await preview('https://x.example/')).toEqual({ 'og:title': 'A & B' })
})

test.each(['', 'null', '5', '[]', '{', '<', '<oembed>', '<html><title>404</title></html>', '{"title":{}}'])(
  'oEmbed of %j says nothing',
  async (body) => {
    page('https://n.example/', `<title>A</title>${link('/o')}`)
    page('https://n.example/o', body, 'application/json')
    expect((await preview('https://n.example/'))['og:title']).toBe('A')
  },
)

test('a known site that shows a request for consent is described by its oEmbed', async () => {
  const video = 'https://www.youtube.com/watch?v=x'
  page(video, '<title>Before you continue</title><p>We use cookies and data to do this and that and more.</p>')
  json(`https://www.youtube.com/oembed?format=json&url=${encodeURIComponent(video)}`, {
    ...{ type: 'video', title: 'Film', author_name: 'Someone', provider_name: 'YouTube' },
    thumbnail_url: 'https://i.example/a.jpg',
  })
  const found = await preview(video)
  expect(found).toMatchObject({ 'og:title': 'Film', 'og:site_name': 'YouTube', 'og:image:width': 40 })
  expect(found['og:description']).toBeUndefined()
})

test('a known site that refuses its page is described by its oEmbed', async () => {
  const post = 'https://x.com/someone/status/20'
  const html = '<blockquote><p>just setting<br>up</p>&mdash; Someone</blockquote><script>alert(1)</script>'
  const endpoint = `https://publish.x.com/oembed?omit_script=true&url=${encodeURIComponent(post)}`
  await expect(preview(post)).rejects.toThrow('no such page')
  json(endpoint, { type: 'rich', author_name: 'Someone', provider_name: 'X', html })
  expect(await preview(post)).toEqual({
    'og:title': 'Someone',
    'og:site_name': 'X',
    'og:description': 'just setting up — Someone',
  })
})

test('hosts that only look like a known site are not', async () => {
  for (const url of ['https://notyoutube.com/watch', 'https://youtube.com.evil.example/watch'])
    await expect(preview(url)).rejects.toThrow('no such page')
})
