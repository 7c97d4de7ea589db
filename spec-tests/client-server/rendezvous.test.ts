import { MSC4108RendezvousSession } from 'matrix-js-sdk/lib/rendezvous/index.js'
import { beforeAll, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { startSdk } from '../harness/sdk.ts'

/** Sign-in by QR code: MSC4388 (JSON) and MSC4108 (text). */
const { url } = inject('homeserver')
const JSON_PATH = '/_matrix/client/unstable/io.element.msc4388/rendezvous'
const TEXT_PATH = '/_matrix/client/unstable/org.matrix.msc4108/rendezvous'
let alice: TestUser
beforeAll(async () => {
  alice = await registerUser(url)
})

const anonymous = (method: string, path: string, body?: unknown) => ask(url, { method, path, body })
const text = (method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  fetch(path.startsWith('http') ? path : url + path, {
    method,
    headers: { ...(body !== undefined && { 'Content-Type': 'text/plain' }), ...headers },
    ...(body !== undefined && { body }),
  })
/** The URL has the server's public name, which differs behind a proxy. */
const pathOf = (sessionUrl: string) => new URL(sessionUrl).pathname

test('JSON: two devices write in turn, and none overwrites what it has not seen', async () => {
  expect((await anonymous('GET', JSON_PATH)).body).toEqual({ create_available: true })
  const { id, sequence_token: first, expires_in_ms } = await alice.post(JSON_PATH, { data: 'hello' })
  expect(expires_in_ms).toBeGreaterThan(60_000)
  const path = `${JSON_PATH}/${id}`
  expect((await anonymous('GET', path)).body).toMatchObject({ data: 'hello', sequence_token: first })
  const write = { data: 'hello back', sequence_token: first }
  const answers = await Promise.all(Array.from({ length: 8 }, () => anonymous('PUT', path, write)))
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
  expect(answers.filter((answer) => answer.status === 409)).toHaveLength(7)
  const second = answers.find((answer) => answer.status === 200)!.body.sequence_token
  expect(second).not.toBe(first)
  expect((await anonymous('GET', path)).body).toMatchObject({ data: 'hello back', sequence_token: second })
  expect(await anonymous('PUT', path, write)).toMatchObject({
    status: 409,
    body: { errcode: 'IO_ELEMENT_MSC4388_CONCURRENT_WRITE' },
  })
  expect((await anonymous('DELETE', path)).status).toBe(200)
  for (const method of ['GET', 'DELETE'])
    expect(await anonymous(method, path)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
})

test('JSON: a write that is repeated with its id ends as before, whatever came after it', async () => {
  const { id, sequence_token } = await alice.post(JSON_PATH, { data: '0' })
  const path = `${JSON_PATH}/${id}`
  const mine = () => anonymous('PUT', `${path}/mine`, { data: '1', sequence_token })
  const [first, again] = await Promise.all([mine(), mine()])
  expect(again.body).toEqual(first.body)
  expect((await anonymous('PUT', `${path}/late`, { data: 'late', sequence_token })).status).toBe(409)
  await anonymous('PUT', `${path}/other`, { data: '2', sequence_token: first.body.sequence_token })
  expect(await mine()).toMatchObject({ status: 200, body: first.body })
  expect((await anonymous('GET', path)).body.data).toBe('2')
})

test('JSON: bounds, and no links', async () => {
  const big = { data: 'ü'.repeat(2049) }
  expect(await alice.ask('POST', JSON_PATH, big)).toMatchObject({ status: 413, body: { errcode: 'M_TOO_LARGE' } })
  expect((await alice.ask('POST', JSON_PATH, { data: 1 })).body.errcode).toBe('M_BAD_JSON')
  expect((await ask(url, { method: 'POST', path: JSON_PATH, body: { data: '' }, token: 'no' })).status).toBe(401)
  const carol = await registerUser(url)
  const many = await Promise.all(Array.from({ length: 16 }, () => carol.ask('POST', JSON_PATH, { data: 'x' })))
  expect(many.filter((answer) => answer.status === 200)).toHaveLength(10)
  const refused = many.filter((answer) => answer.status !== 200)
  for (const answer of refused) expect(answer).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
  const { id } = many.find((answer) => answer.status === 200)!.body
  expect((await text('GET', `${JSON_PATH}/${id}`, undefined, { 'Sec-Fetch-Dest': 'image' })).status).toBe(403)
  const read = await text('GET', `${JSON_PATH}/${id}`, undefined, { 'Sec-Fetch-Dest': 'empty' })
  expect(read.status).toBe(200)
  expect(read.headers.get('cache-control')).toBe('no-store')
})

test('text: with tags and the headers that browsers need', async () => {
  const created = await text('POST', TEXT_PATH, 'hello', { Authorization: `Bearer ${alice.accessToken}` })
  expect(created.status).toBe(201)
  const first = created.headers.get('ETag')!
  expect(created.headers.get('Access-Control-Allow-Origin')).toBe('*')
  expect(created.headers.get('Access-Control-Expose-Headers')).toContain('ETag')
  expect(new Date(created.headers.get('Expires')!).getTime()).toBeGreaterThan(Date.now() + 60_000)
  const path = pathOf(((await created.json()) as { url: string }).url)
  const got = await text('GET', path)
  expect([got.headers.get('Content-Type'), got.headers.get('ETag'), await got.text()]).toEqual([
    'text/plain',
    first,
    'hello',
  ])
  expect((await text('GET', path, undefined, { 'If-None-Match': first })).status).toBe(304)
  expect((await text('PUT', path, 'no tag')).status).toBe(400)
  const put = await text('PUT', path, 'back', { 'If-Match': first })
  expect(put.status).toBe(202)
  expect(put.headers.get('ETag')).not.toBe(first)
  const late = await text('PUT', path, 'late', { 'If-Match': first })
  expect([late.status, (await late.json()) as object]).toMatchObject([
    412,
    { 'org.matrix.msc4108.errcode': 'M_CONCURRENT_WRITE' },
  ])
  expect(await (await text('GET', path)).text()).toBe('back')
  expect((await text('PUT', path, 'x'.repeat(4097), { 'If-Match': put.headers.get('ETag')! })).status).toBe(413)
  expect((await text('DELETE', path)).status).toBe(204)
  expect((await text('GET', path)).status).toBe(404)
  const json = await fetch(url + TEXT_PATH, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{}',
  })
  expect(json.status).toBe(400)
})

test('text: two devices talk by matrix-js-sdk', async () => {
  const client = await startSdk(alice)
  const failures: string[] = []
  const onFailure = (reason: string) => failures.push(reason)
  // Sessions have the server's public name; the tests reach it by another.
  const fetchFn: typeof fetch = (input, init) => fetch(url + new URL(`${input}`).pathname, init)
  try {
    const shown = new MSC4108RendezvousSession({ onFailure, client, fetchFn })
    await shown.send('from the old device')
    const scanned = new MSC4108RendezvousSession({ onFailure, url: shown.url!, fetchFn })
    expect(await scanned.receive()).toBe('from the old device')
    await scanned.send('from the new device')
    expect(await shown.receive()).toBe('from the new device')
    await shown.send('and once more')
    expect(await scanned.receive()).toBe('and once more')
    await shown.close()
    expect(await scanned.receive()).toBeUndefined()
    expect(failures).toHaveLength(1)
  } finally {
    client.stopClient()
  }
})
