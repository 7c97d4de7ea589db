import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { createPeerNetwork } from '../../infra/test-peer.ts'
import { insertRemoteMedia } from '../../storage/remote-media.ts'
import { storeFile } from '../media/store-file.ts'
import { sweepMedia } from '../media/sweep-media.ts'
import { createMediaTestApp } from '../media/test-media-app.ts'
import { uploadMedia } from '../media/upload-media.ts'
import { findMedia } from './find-media.ts'

let world: Awaited<ReturnType<typeof createMediaTestApp>>
beforeAll(async () => {
  world = await createMediaTestApp()
})
afterAll(() => world.close())

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

test('files of other servers go when nobody has asked for them for long', async () => {
  const name = { serverName: 'elsewhere.test' as ServerName, mediaId: 'abc' }
  const store = () =>
    storeFile(world.app, once('remote'), (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, contentType: 'text/plain', filename: null, sha256, now: world.clock.now() }),
    )
  const look = () =>
    findMedia(world.app, name, { timeoutMs: 0, signal: new AbortController().signal, allowRemote: false })
  await store()
  await uploadMedia(world.app, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: undefined,
    filename: undefined,
    source: once('ours'),
  })
  const half = world.app.config.media.remote_cache_lifetime / 2
  world.clock.advance(half)
  expect((await look()).file.size).toBe(6)
  world.clock.advance(half + 1)
  await sweepMedia(world.app)
  expect((await look()).file.size).toBe(6)
  world.clock.advance(2 * half + 1)
  await sweepMedia(world.app)
  await expect(look()).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  expect(world.files()).toHaveLength(1)
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid */
test('servers that do not know the endpoint with a signature are asked by the old one', async () => {
  const network = createPeerNetwork()
  onTestFinished(() => network.dispose())
  const peer = await network.startPeer()
  const app = { ...world.app, federation: network.connect() }
  const fetchWhere = (mediaId: string, status: number, body: string) => {
    peer.answerWith((response, { uri }) => {
      if (uri.startsWith('/_matrix/federation/')) response.writeHead(status).end(body)
      else response.writeHead(200, { 'content-type': 'text/plain' }).end('an old file')
    })
    const wait = { timeoutMs: 0, signal: new AbortController().signal }
    return findMedia(app, { serverName: peer.serverName, mediaId }, wait)
  }
  for (const [status, body] of [
    [404, '{"errcode":"M_UNRECOGNIZED","error":"?"}'],
    [404, 'page not found'],
    [405, ''],
    [400, 'no'],
  ] as const) {
    expect(await fetchWhere(`old${status}${body.length}`, status, body)).toMatchObject({ contentType: 'text/plain' })
  }
  const asked = peer.asked.length
  await expect(fetchWhere('gone', 404, '{"errcode":"M_NOT_FOUND","error":"no"}')).rejects.toMatchObject({ status: 404 })
  await expect(fetchWhere('ill', 500, '')).rejects.toMatchObject({ status: 500 })
  expect(peer.asked.length).toBe(asked + 2)
  expect(peer.asked[1]?.uri).toBe(
    `/_matrix/media/v3/download/${peer.serverName}/old40440?timeout_ms=0&allow_remote=false`,
  )
})
