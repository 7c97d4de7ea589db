import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName } from '../../core/ids.ts'
import { isSignedBy } from '../../core/signing/ed25519.ts'
import { parseXMatrix, requestText } from '../../core/signing/x-matrix.ts'
import { decodeBase64 } from '../../core/text/base64.ts'
import { createPeerNetwork, OUR_KEY, type TestPeer, US } from '../../testing/test-peer.ts'
import { readBounded } from '../http/read-bounded.ts'
import type { FederationClient } from './federation-client.ts'
import { FederationError } from './federation-error.ts'

let network: ReturnType<typeof createPeerNetwork>
let peer: TestPeer
let client: FederationClient
beforeAll(async () => {
  network = createPeerNetwork()
  peer = await network.startPeer()
  client = network.connect()
})
afterAll(() => network.dispose())

const json = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

const get = (more: Partial<Parameters<FederationClient['request']>[0]> = {}, from = client) =>
  from.request({ destination: peer.serverName, method: 'GET', path: '/_matrix/federation/v1/version', ...more })

/** Returns the error of a request that must fail. */
const errorOf = (request: Promise<unknown>): Promise<FederationError> =>
  request.then(
    () => expect.unreachable('it is answered'),
    (error) => error,
  )

/** https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
test('requests are signed for their destination, with path, query and body as they are sent', async () => {
  peer.answerWith((response) => json(response, 200, { fine: true }))
  const path = '/_matrix/federation/v1/x/%21r%C3%A4ume%3Aa'
  const query = { q: 'ä b+c', list: ['1', '2'], absent: undefined }
  const body = { z: 1, a: 'ü', nested: { b: [null], '10': 1, '9': 2 } }
  expect(await get({ method: 'PUT', path, query, body })).toEqual({ fine: true })
  const { method, uri, authorization, body: content } = peer.asked.at(-1)!
  expect(uri).toBe(`${path}?q=%C3%A4%20b%2Bc&list=1&list=2`)
  expect(JSON.parse(content)).toEqual(body)
  const { origin, destination, keyId, signature } = parseXMatrix(authorization)!
  expect([origin, destination, keyId]).toEqual([US, peer.serverName, OUR_KEY.keyId])
  const isSigned = (as: { content?: string; uri: string; destination: ServerName }) =>
    isSignedBy(
      decodeBase64(OUR_KEY.publicKey)!,
      Buffer.from(requestText({ method, origin, ...as })),
      decodeBase64(signature)!,
    )
  expect(isSigned({ content, uri, destination: peer.serverName })).toBe(true)
  expect(isSigned({ content, uri, destination: 'other' as ServerName })).toBe(false)
  expect(isSigned({ uri, destination: peer.serverName })).toBe(false)
})

test('a body that is canonical JSON already is sent and signed as it is', async () => {
  peer.answerWith((response) => json(response, 200, {}))
  const content = '{"a":[1,{"b":"ü"}],"z":2}'
  await get({ method: 'PUT', content })
  const { method, uri, authorization, body } = peer.asked.at(-1)!
  expect(body).toBe(content)
  const { origin, signature } = parseXMatrix(authorization)!
  const text = requestText({ method, uri, origin, destination: peer.serverName, content })
  expect(isSignedBy(decodeBase64(OUR_KEY.publicKey)!, Buffer.from(text), decodeBase64(signature)!)).toBe(true)
})

test('a refusal says what the server said, and whether to try again', async () => {
  const limited = { errcode: 'M_LIMIT_EXCEEDED', error: 'Slowly', retry_after_ms: 1500 }
  peer.answerWith((response) => json(response, 429, limited))
  expect(await errorOf(get())).toMatchObject({
    status: 429,
    errcode: 'M_LIMIT_EXCEEDED',
    said: 'Slowly',
    retryable: true,
    retryAfterMs: 1500,
  })
  peer.answerWith((response) => json(response, 503, {}, { 'retry-after': '7' }))
  expect(await errorOf(get())).toMatchObject({ status: 503, errcode: 'M_UNKNOWN', retryable: true, retryAfterMs: 7000 })
  const incompatible = { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', error: 'No', room_version: '12' }
  peer.answerWith((response) => json(response, 400, incompatible))
  const error = await errorOf(get())
  expect(error).toMatchObject({ retryable: false, extra: { room_version: '12' } })
  expect(error.toMatrixError()).toMatchObject({ status: 400, errcode: 'M_INCOMPATIBLE_ROOM_VERSION' })
  // If a server does not accept our signature, that is not the client's fault.
  peer.answerWith((response) => json(response, 401, { errcode: 'M_UNAUTHORIZED', error: 'Who?' }))
  expect((await errorOf(get())).toMatrixError()).toMatchObject({ status: 502 })
})

test('of a refusal clients hear nothing that they would take for ours, or could not read', async () => {
  const odd = { errcode: { a: 1 }, error: ['x'], retry_after_ms: 'soon', room_version: 5, flows: [], deep: [[[[]]]] }
  peer.answerWith((response) => json(response, 403, odd))
  const error = (await errorOf(get())).toMatrixError()
  expect(error.toJSON()).toEqual({ errcode: 'M_UNKNOWN', error: `${peer.serverName} answers 403` })
  peer.answerWith((response) => json(response, 429, { errcode: '<b>', error: 'x'.repeat(9000), retry_after_ms: 1e300 }))
  const long = await errorOf(get())
  expect([long.errcode, long.message.length < 2000, long.retryAfterMs]).toEqual(['M_UNKNOWN', true, undefined])
  peer.answerWith((response) => json(response, 403, { errcode: 'M_UNKNOWN_TOKEN', error: 'Go', soft_logout: true }))
  expect((await errorOf(get())).toMatrixError()).toMatchObject({ status: 502, errcode: 'M_UNKNOWN', extra: {} })
  peer.answerWith((response) => response.writeHead(403).end(`{"errcode":"M_FORBIDDEN","x":${'['.repeat(20_000)}`))
  expect((await errorOf(get())).toMatrixError()).toMatchObject({ status: 403, errcode: 'M_UNKNOWN' })
  peer.answerWith((response) => json(response, 503, {}, { 'retry-after': '9'.repeat(20) }))
  expect(await errorOf(get())).toMatchObject({ retryAfterMs: 24 * 3_600_000 })
})

test('nothing is unpacked: an answer that is a thousand times as large counts as it came', async () => {
  const packed = gzipSync(Buffer.from(`{"x":"${'a'.repeat(10_000_000)}"}`))
  peer.answerWith((response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed))
  const error = await errorOf(get({ maxBytes: 100_000 }))
  expect([packed.length < 100_000, error.message]).toEqual([true, `${peer.serverName} does not answer JSON`])
  peer.answerWith((response) => response.writeHead(400, { 'content-encoding': 'gzip' }).end(packed))
  expect(await errorOf(get())).toMatchObject({ status: 400, errcode: 'M_UNKNOWN', said: undefined })
})

test('answers that are none are errors: no JSON, too much, too slow, cut off', async () => {
  peer.answerWith((response) => response.end('<html>'))
  expect((await errorOf(get())).message).toMatch(/does not answer JSON/)
  peer.answerWith((response) => response.end(`"${'x'.repeat(100_000)}"`))
  expect(await errorOf(get({ maxBytes: 10_000 }))).toMatchObject({ retryable: false })
  expect(await get({ maxBytes: 200_000 })).toHaveLength(100_000)
  peer.answerWith(() => {})
  expect((await errorOf(get({ timeoutMs: 50 }))).cause).toMatchObject({ name: 'TimeoutError' })
  peer.answerWith((response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"half":')
    setImmediate(() => response.destroy())
  })
  expect(await errorOf(get())).toMatchObject({ status: undefined, retryable: true })
  peer.answerWith((response) => response.destroy())
  expect(await errorOf(get())).toMatchObject({ status: undefined, retryable: true })
  peer.answerWith((response) => json(response, 200, {}))
  expect(await get()).toEqual({})
})

test('a server with an invalid certificate or a forbidden address gets no request', async () => {
  const before = peer.asked.length
  for (const options of [{ trusting: false }, { guarded: true }, { enabled: false }]) {
    expect(await errorOf(get({}, network.connect(options)))).toBeInstanceOf(FederationError)
  }
  await expect(get({ destination: US })).rejects.toThrow(/does not ask itself/)
  expect(peer.asked.length).toBe(before)
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid */
test('files elsewhere are fetched without a signature, over at most three redirects, and only by HTTPS', async () => {
  const url = (path: string) => `https://${peer.serverName}${path}`
  const bounds = { timeoutMs: 10_000, maxBytes: 1000 }
  const download = (path: string) => client.download(peer.serverName, url(path), bounds)
  peer.answerWith((response, { uri }) => {
    const hops = Number(uri.slice(1))
    if (hops > 0) response.writeHead(302, { location: `/${hops - 1}` }).end()
    else response.writeHead(200, { 'content-type': 'text/plain' }).end('the file')
  })
  const { headers, body } = await download('/3')
  expect([headers['content-type'], String(await readBounded(body, 1000))]).toEqual(['text/plain', 'the file'])
  expect(peer.asked.at(-1)!.authorization).toBe('')
  expect((await errorOf(download('/4'))).message).toMatch(/sends us to nowhere/)
  peer.answerWith((response) => response.writeHead(302, { location: 'http://localhost:1/' }).end())
  expect((await errorOf(download('/x'))).message).toMatch(/sends us to nowhere/)
  peer.answerWith((response) => json(response, 404, { errcode: 'M_NOT_FOUND', error: 'gone' }))
  expect(await errorOf(download('/x'))).toMatchObject({ status: 404 })
})

test('an answer that breaks before anybody reads it ends nothing but its reading', async () => {
  let answering: ServerResponse | undefined
  peer.answerWith((response) => {
    answering = response
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"half":')
  })
  const { body } = await client.stream({ destination: peer.serverName, method: 'GET', path: '/half' })
  const ended = new Promise((resolve) => answering!.socket!.once('close', resolve))
  answering!.destroy()
  await ended
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(await errorOf(readBounded(body, 100))).toBeInstanceOf(FederationError)
})

test('the traffic of each request that was answered is reported', async () => {
  const reported: unknown[] = []
  const measuring = network.connect({ requestEnded: (...ended) => reported.push(ended) })
  peer.answerWith((response) => json(response, 200, { fine: true }))
  await get({ method: 'PUT', body: { a: 'ü' } }, measuring)
  peer.answerWith((response) => json(response, 404, { errcode: 'M_NOT_FOUND' }))
  await errorOf(get({}, measuring))
  const traffic = (received: number, sent: number) => [peer.serverName, { seconds: expect.any(Number), received, sent }]
  expect(reported).toEqual([traffic('{"fine":true}'.length, Buffer.byteLength('{"a":"ü"}')), traffic(0, 0)])
})
