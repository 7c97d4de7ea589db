import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import sharp from 'sharp'
import { Agent } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPageFetch } from '../../infra/http/page-fetch.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { previewUrl } from './preview-url.ts'

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
