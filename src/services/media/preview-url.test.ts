import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import sharp from 'sharp'
import { Agent } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPageFetch } from '../../infra/http/page-fetch.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { previewUrl } from './preview-url.ts'
import { sweepMedia } from './sweep-media.ts'

let app: TestApp
let image: Buffer
const agent = new Agent()
const site = createServer((_, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(image))
beforeAll(async () => {
  app = await createTestApp({ fetchPage: createPageFetch(agent) })
  image = await sharp({ create: { width: 80, height: 40, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  await agent.destroy()
  site.close()
  await app.close()
})

test('a media store that cannot be written is no failure of the page, and the next request tries again', async () => {
  const url = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`
  const preview = () => previewUrl(app, { url, at: undefined, language: undefined })
  const { stagingFolder } = app.media.objects
  mkdirSync(dirname(stagingFolder), { recursive: true })
  writeFileSync(stagingFolder, 'a file where a folder has to be')
  await expect(preview()).rejects.toThrow('ENOTDIR')
  rmSync(stagingFolder)
  expect(JSON.parse(await preview())).toMatchObject({ 'og:image:width': 80 })
})

test('a failure from the time of the message does not stand in for the page', async () => {
  let status = 500
  const flaky = createServer((_, response) => response.writeHead(status).end('<html><title>A</title>'))
  await new Promise<void>((resolve) => flaky.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(flaky.address() as AddressInfo).port}/`
  const at = app.clock.now()
  const preview = () => previewUrl(app, { url, at, language: undefined })
  await expect(preview()).rejects.toThrow('could not be fetched')
  status = 200
  await expect(preview()).rejects.toThrow('could not be fetched')
  app.clock.advance(61_000)
  expect(JSON.parse(await preview())).toEqual({ 'og:title': 'A' })
  flaky.close()
})

test('without previews, no page is fetched', async () => {
  const fetchPage = () => Promise.reject(new Error('a page is fetched'))
  const without = await createTestApp({ config: { url_previews: { enabled: false } }, fetchPage })
  const request = { url: 'https://site.example/', at: undefined, language: undefined }
  await expect(previewUrl(without, request)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  await without.close()
})

describe('a page that changes', () => {
  let version = 0
  const changing = createServer((_, response) => response.end(`<html><title>${++version}</title>`))
  beforeAll(() => new Promise<void>((resolve) => changing.listen(0, '127.0.0.1', resolve)))
  afterAll(() => changing.close())
  async function titleAt(at?: number): Promise<string> {
    const url = `http://127.0.0.1:${(changing.address() as AddressInfo).port}/`
    return JSON.parse(await previewUrl(app, { url, at, language: undefined }))['og:title']
  }

  test('is fetched again when its preview has expired, unless the client wants that', async () => {
    expect(await titleAt()).toBe('1')
    const then = app.clock.now()
    app.clock.advance(app.config.url_previews.cache_lifetime - 1)
    expect(await titleAt()).toBe('1')
    app.clock.advance(2)
    expect(await titleAt(then)).toBe('1')
    expect(await titleAt()).toBe('2')
  })

  test('is fetched by another process when the one that fetches it dies', async () => {
    const fetching = { expires_ts: 0, preview: null, lease_holder: 'dead', lease_until_ts: app.clock.now() + 5000 }
    await app.database.sql.updateTable('url_previews').set(fetching).execute()
    const title = titleAt()
    await new Promise((resolve) => setImmediate(resolve))
    expect(version).toBe(2)
    app.clock.advance(5001)
    expect(await title).toBe('3')
  })

  test('has no stored preview after it expired and media were swept', async () => {
    app.clock.advance(2 * app.config.url_previews.cache_lifetime)
    await sweepMedia(app)
    expect(await app.database.sql.selectFrom('url_previews').select('key').execute()).toEqual([])
  })
})
