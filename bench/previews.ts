import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { registerUser, type TestUser } from '../spec-tests/harness/client.ts'
import { inParallel, measure, type Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'

/**
 * Measures URL previews of pages of this machine: fetched for the first time, with and without an image, and stored
 * ones: `node bench/previews.ts [pages]`, by default 500. Each page has 200 KiB.
 */
const pages = Number(process.argv[2] ?? 500)
const PARALLEL = 8
const ENDPOINT = '/_matrix/client/v1/media/preview_url?url='

type Figures = Record<string, number>

const image = await sharp({
  create: {
    ...{ width: 1200, height: 630, channels: 3, background: '#888' },
    noise: { type: 'gaussian', mean: 128, sigma: 10 },
  },
})
  .jpeg()
  .toBuffer()
const body = '<div class="card"><p>A paragraph of a page.</p><a href="/next">more</a></div>'.repeat(2700)
const tags = ['title', 'description'].map((name) => `<meta property="og:${name}" content="A page">`).join('')
const head = `<meta charset="utf-8"><title>A page</title>${tags}`
const site = createServer(({ url = '' }, response) => {
  if (url.startsWith('/image')) response.writeHead(200, { 'content-type': 'image/jpeg' }).end(image)
  else {
    const ogImage = url.startsWith('/with') ? `<meta property="og:image" content="/image${url}.jpg">` : ''
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<html><head>${head}${ogImage}</head>${body}</html>`)
  }
})
await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`

async function previews(target: Target, user: TestUser, page: (number: number) => string): Promise<[number, number]> {
  const { wall, cpu } = await measure(target, () =>
    inParallel(pages, PARALLEL, async (number) => {
      const found = await user.get(ENDPOINT + encodeURIComponent(origin + page(number)))
      if (found['og:title'] !== 'A page') throw new Error('a page has no preview')
    }),
  )
  return [(pages * 1000) / wall, cpu / pages]
}

async function measureOn(target: Target): Promise<Figures> {
  const user = await registerUser(target.url)
  await previews(target, user, (number) => `/with/warm-up/${number % 50}`)
  const plain = await previews(target, user, (number) => `/plain/${number}`)
  const withImage = await previews(target, user, (number) => `/with/${number}`)
  const stored = await previews(target, user, (number) => `/with/${number}`)
  return {
    'fetched previews in a second': plain[0],
    '… each (CPU ms)': plain[1],
    'fetched previews with an image in a second': withImage[0],
    '… each (CPU ms) ': withImage[1],
    'stored previews in a second': stored[0],
    '… each (CPU ms)  ': stored[1],
  }
}

const columns = { embedded: await onPglite(measureOn), PostgreSQL: await onPostgresql(measureOn) }
console.log(`page ${body.length >> 10} KiB, image ${image.length >> 10} KiB\n`)
console.log('| | embedded | PostgreSQL |\n|---|---:|---:|')
for (const [name, value] of Object.entries(columns.embedded))
  console.log(`| ${name.trim()} | ${value.toPrecision(3)} | ${columns.PostgreSQL[name]!.toPrecision(3)} |`)
process.exit(0)
