import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { insertRemoteMedia } from '../../storage/media/remote-media.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { createPeerNetwork } from '../../testing/test-peer.ts'
import { quarantineServer, removeContentRule, setContentRule } from '../media/moderation/media-rules.ts'
import { quarantineMedia, unquarantineMedia } from '../media/moderation/quarantine-media.ts'
import { unquarantineServer } from '../media/moderation/resumable-work.ts'
import { storeFile } from '../media/store-file.ts'
import { sweepMedia } from '../media/sweep-media.ts'
import { uploadMedia } from '../media/upload-media.ts'
import { findMedia } from './find-media.ts'

let app: TestApp
let network: ReturnType<typeof createPeerNetwork>
beforeAll(async () => {
  app = await createTestApp()
  network = createPeerNetwork()
})
afterAll(() => Promise.all([network.dispose(), app.close()]))

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

test('files of other servers go when nobody has asked for them for long', async () => {
  const name = { serverName: 'elsewhere.test' as ServerName, mediaId: 'abc' }
  const store = () =>
    storeFile(app, once('remote'), (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, contentType: 'text/plain', filename: null, sha256, now: app.clock.now() }),
    )
  const look = () => findMedia(app, name, { timeoutMs: 0, signal: new AbortController().signal, allowRemote: false })
  await store()
  await uploadMedia(app, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: undefined,
    filename: undefined,
    source: once('ours'),
  })
  const half = app.config.media.remote_cache_lifetime / 2
  app.clock.advance(half)
  expect((await look()).file.size).toBe(6)
  app.clock.advance(half + 1)
  await sweepMedia(app)
  expect((await look()).file.size).toBe(6)
  app.clock.advance(2 * half + 1)
  await sweepMedia(app)
  await expect(look()).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  // Our own file, and the mark of the store.
  expect(storedFiles(app)).toHaveLength(2)
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid */
test('servers that do not know the endpoint with a signature are asked by the old one', async () => {
  const peer = await network.startPeer()
  const reaching = { ...app, federation: network.connect() }
  const fetchWhere = (mediaId: string, status: number, body: string) => {
    peer.answerWith((response, { uri }) => {
      if (uri.startsWith('/_matrix/federation/')) response.writeHead(status).end(body)
      else response.writeHead(200, { 'content-type': 'text/plain' }).end('an old file')
    })
    const wait = { timeoutMs: 0, signal: new AbortController().signal }
    return findMedia(reaching, { serverName: peer.serverName, mediaId }, wait)
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

test('denied and quarantined media are not served, and not fetched in vain', async () => {
  const peer = await network.startPeer()
  const { serverName } = peer
  const reaching = { ...app, federation: network.connect() }
  const admin = '@admin:hearth.test' as UserId
  const bytes = 'a denied content'
  const sha256 = createHash('sha256').update(bytes).digest('base64url')
  peer.answerWith((response) => response.writeHead(200, { 'content-type': MIXED }).end(`${HEAD}\r\n${bytes}\r\n--b--`))
  const look = (mediaId: string) =>
    findMedia(reaching, { serverName, mediaId }, { timeoutMs: 0, signal: new AbortController().signal })
  const unknown = { status: 404, errcode: 'M_NOT_FOUND' }

  await setContentRule(app, sha256, { verdict: 'deny', reason: null, by: admin })
  const files = storedFiles(app)
  for (const _ of [1, 2]) await expect(look('first')).rejects.toMatchObject(unknown)
  expect([peer.asked.length, storedFiles(app)]).toEqual([1, files])
  await removeContentRule(app, sha256)
  expect((await look('first')).file.size).toBe(bytes.length)

  await quarantineMedia(app, { serverName, mediaId: 'second' }, admin)
  await expect(look('second')).rejects.toMatchObject(unknown)
  await quarantineServer(app, serverName, { by: admin, reason: null })
  for (const mediaId of ['first', 'third']) await expect(look(mediaId)).rejects.toMatchObject(unknown)
  expect(peer.asked).toHaveLength(2)

  await unquarantineServer(app, serverName)
  await unquarantineMedia(app, { serverName, mediaId: 'second' })
  await quarantineMedia(app, { serverName, mediaId: 'first' }, admin)
  for (const mediaId of ['second', 'third']) await expect(look(mediaId)).rejects.toMatchObject(unknown)
  await unquarantineMedia(app, { serverName, mediaId: 'third' })
  for (const mediaId of ['first', 'second', 'third']) expect((await look(mediaId)).file.size).toBe(bytes.length)
})

const HEAD = '--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n'
const MIXED = 'multipart/mixed; boundary=b'

test.each([
  ['names no boundary', 'multipart/mixed', `${HEAD}\r\nx\r\n--b--`],
  ['is of no multipart type', 'application/octet-stream', `${HEAD}\r\nx\r\n--b--`],
  ['has an endless boundary', `multipart/mixed; boundary=${'b'.repeat(5000)}`, `${HEAD}\r\nx\r\n--b--`],
  ['has no file', MIXED, '--b\r\n\r\n{}\r\n--b--'],
  ['ends in the middle of the file', MIXED, `${HEAD}\r\nhalf a file`],
  ['ends in the middle of a header', MIXED, `${HEAD}Content-`],
  ['has a header without end', MIXED, `${HEAD}X: ${'x'.repeat(100_000)}`],
  ['sends us to a private address', MIXED, `${HEAD}Location: https://127.0.0.1/x\r\n\r\n\r\n--b--`],
  ['sends us to a name of this machine', MIXED, `${HEAD}Location: https://localhost:1/x\r\n\r\n\r\n--b--`],
  ['sends us away from HTTPS', MIXED, `${HEAD}Location: http://192.0.2.1/x\r\n\r\n\r\n--b--`],
  ['sends us to a file', MIXED, `${HEAD}Location: file:///etc/passwd\r\n\r\n\r\n--b--`],
  ['sends us nowhere', MIXED, `${HEAD}Location: \r\n\r\n\r\n--b--`],
])('an answer that %s is a failure of the other server, and leaves nothing', async (_, contentType, body) => {
  const peer = await network.startPeer()
  peer.answerWith((response) => response.writeHead(200, { 'content-type': contentType }).end(body))
  const files = storedFiles(app)
  // The peer itself is on this machine; its redirects are checked like any other.
  const federation = { ...network.connect(), download: network.connect({ guarded: true }).download }
  const wait = { timeoutMs: 0, signal: new AbortController().signal }
  await expect(
    findMedia({ ...app, federation }, { serverName: peer.serverName, mediaId: 'bad' }, wait),
  ).rejects.toBeInstanceOf(FederationError)
  expect(storedFiles(app)).toEqual(files)
})
