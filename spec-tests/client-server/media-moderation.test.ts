import { createHash, randomBytes } from 'node:crypto'
import sharp from 'sharp'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { createRoom, sendEvent } from '../harness/rooms.ts'

/** Quarantine, deletion and lists of media, by Synapse's admin API and the rules of Hearth. */
const { url, sharedSecret } = inject('homeserver')
const V1 = '/_synapse/admin/v1'
const RULES = '/_hearth/admin/v1/media'
const DOWNLOAD = '/_matrix/client/v1/media/download'
const THUMBNAIL = '/_matrix/client/v1/media/thumbnail'
const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const encode = encodeURIComponent

let admin: TestUser
let alice: TestUser
beforeAll(async () => {
  ;[admin, alice] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
})

async function tryUpload(user: TestUser, body: Buffer, type = 'text/plain'): Promise<Response> {
  return fetch(`${url}/_matrix/media/v3/upload?filename=a.txt`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.accessToken}`, 'Content-Type': type },
    body: new Uint8Array(body),
  })
}

/** Uploads, and returns `server/mediaId`. */
async function upload(user: TestUser, body: Buffer = randomBytes(20), type?: string): Promise<string> {
  const { content_uri: uri } = (await (await tryUpload(user, body, type)).json()) as { content_uri: string }
  return uri.slice('mxc://'.length)
}

async function statusOf(user: TestUser, path: string): Promise<number> {
  const response = await fetch(url + path, { headers: { Authorization: `Bearer ${user.accessToken}` } })
  await response.body?.cancel()
  return response.status
}

const remove = async (path: string) => (await admin.ask('DELETE', path)).body
const download = (path: string) => statusOf(alice, `${DOWNLOAD}/${path}`)
const infoOf = async (path: string) => (await admin.get(`${V1}/media/${path}`)).media_info
const absolute = (path: string) => (path.startsWith('/') ? path : `${V1}/${path}`)
const idOf = (path: string) => path.split('/')[1]!

describe('quarantine', () => {
  test('by id covers the content under every name, thumbnails, and later uploads', async () => {
    const picture = await sharp({ create: { width: 40, height: 40, channels: 3, background: '#123' } })
      .png({ text: [] } as never)
      .toBuffer()
    const bytes = Buffer.concat([picture, randomBytes(8)])
    const [first, second] = [await upload(alice, bytes, 'image/png'), await upload(admin, bytes, 'image/png')]
    const thumbnail = (path: string) => statusOf(alice, `${THUMBNAIL}/${path}?width=20&height=20`)
    expect([await download(first), await thumbnail(first)]).toEqual([200, 200])
    expect(await admin.post(`${V1}/media/quarantine/${first}`)).toEqual({})
    const third = await upload(alice, bytes, 'image/png')
    for (const path of [first, second, third])
      expect([path, await download(path), await thumbnail(path)]).toEqual([path, 404, 404])
    expect(await infoOf(third)).toMatchObject({ quarantined_by: admin.userId, sha256: hashOf(bytes) })
    await admin.post(`${V1}/media/unquarantine/${second}`)
    for (const path of [first, second, third]) expect([await download(path), await thumbnail(path)]).toEqual([200, 200])
  })

  test('by user, without protected media', async () => {
    const bob = await registerUser(url)
    const [kept, ...others] = [await upload(bob), await upload(bob), await upload(bob)]
    await admin.post(`${V1}/media/protect/${idOf(kept!)}`)
    expect((await infoOf(kept!)).safe_from_quarantine).toBe(true)
    const quarantine = () => admin.post(`${V1}/user/${encode(bob.userId)}/media/quarantine`)
    expect(await quarantine()).toEqual({ num_quarantined: 2 })
    expect(await quarantine()).toEqual({ num_quarantined: 0 })
    expect(await download(kept!)).toBe(200)
    for (const path of others) expect(await download(path)).toBe(404)
    await admin.post(`${V1}/media/unprotect/${idOf(kept!)}`)
    expect(await quarantine()).toEqual({ num_quarantined: 1 })
    expect(await download(kept!)).toBe(404)
  })

  test('by room, on both paths, with thumbnails of its events', async () => {
    const roomId = await createRoom(alice)
    const [image, small, file, elsewhere] = [
      await upload(alice),
      await upload(alice),
      await upload(alice),
      await upload(alice),
    ]
    const remote = 'mxc://elsewhere.test/abc'
    const [body, msgtype] = ['x', 'm.image']
    const info = { thumbnail_url: `mxc://${small}` }
    await sendEvent(alice, roomId, { msgtype, body, url: `mxc://${image}`, info })
    await sendEvent(alice, roomId, { msgtype: 'm.file', body, file: { url: `mxc://${file}` } })
    await sendEvent(alice, roomId, { msgtype, body, url: remote, info: 7 })
    await sendEvent(alice, roomId, { msgtype: 'm.text', body: `mxc://${elsewhere}`, url: 'mxc://a b/x' })
    const { local, remote: others } = await admin.get(`${V1}/room/${encode(roomId)}/media`)
    expect(local.toSorted()).toEqual([image, small, file].map((path) => `mxc://${path}`).toSorted())
    expect(others).toEqual([remote])
    expect(await admin.post(`${V1}/room/${encode(roomId)}/media/quarantine`)).toEqual({ num_quarantined: 4 })
    expect(await admin.post(`${V1}/quarantine_media/${encode(roomId)}`)).toEqual({ num_quarantined: 0 })
    for (const path of [image, small, file]) expect(await download(path!)).toBe(404)
    expect(await download(elsewhere!)).toBe(200)
    expect((await infoOf('elsewhere.test/abc')).quarantined_by).toBe(admin.userId)
  })

  test('by content: quarantined contents are stored, denied ones refused', async () => {
    const bytes = randomBytes(20)
    const rule = `${RULES}/content_rules/${hashOf(bytes)}`
    expect(await admin.put(rule, { verdict: 'quarantine' })).toEqual({ num_quarantined: 0 })
    const path = await upload(alice, bytes)
    expect(await download(path)).toBe(404)
    await admin.post(`${V1}/media/protect/${idOf(path)}`)
    expect(await download(path)).toBe(200)
    expect(await admin.put(rule, { verdict: 'deny', reason: 'case 7' })).toEqual({ num_quarantined: 1 })
    expect(await download(path)).toBe(404)
    const refused = await tryUpload(alice, bytes)
    expect([refused.status, await refused.json()]).toMatchObject([403, { errcode: 'M_FORBIDDEN' }])
    const kept = await admin.ask('POST', `${V1}/media/unquarantine/${path}`)
    expect([kept.status, kept.body.error]).toEqual([400, expect.stringContaining(admin.userId)])
    const { rules, total } = await admin.get(`${RULES}/content_rules?limit=1000`)
    expect(rules).toContainEqual({
      ...{ sha256: hashOf(bytes), verdict: 'deny', reason: 'case 7', set_by: admin.userId },
      set_ts: expect.any(Number),
    })
    expect(total).toBe(rules.length)
    expect(await remove(rule)).toEqual({})
    expect([await download(path), (await tryUpload(alice, bytes)).status]).toEqual([200, 200])
    expect((await admin.ask('DELETE', rule)).status).toBe(404)
  })

  test('the feed has each change once, in order', async () => {
    const changesAfter = (from: number) => admin.get(`${V1}/media/quarantine_changes?from=${from}`)
    let { next_batch: from } = await changesAfter(0)
    for (let more = true; more; ) {
      const page = await changesAfter(from)
      more = page.changes.length > 0
      from = page.next_batch
    }
    const path = await upload(alice)
    const [origin, media_id] = path.split('/')
    await admin.post(`${V1}/media/quarantine/${path}`)
    await admin.post(`${V1}/media/unquarantine/${path}`)
    const { changes, next_batch } = await changesAfter(from)
    expect(changes).toEqual([true, false].map((quarantined) => ({ origin, media_id, quarantined })))
    expect((await changesAfter(next_batch)).changes).toEqual([])
    const future = await admin.ask('GET', `${V1}/media/quarantine_changes?from=${Number.MAX_SAFE_INTEGER}`)
    expect([future.status, future.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
  })
})

describe('lists and deletion', () => {
  test('a list of a user has pages in any order', async () => {
    const bob = await registerUser(url)
    const paths: string[] = []
    for (const size of [30, 10, 20]) paths.push(await upload(bob, randomBytes(size)))
    const list = (query: string) => admin.get(`${V1}/users/${encode(bob.userId)}/media${query}`)
    const lengths = async (query: string) =>
      (await list(query)).media.map(({ media_length }: { media_length: number }) => media_length)
    expect(await lengths('')).toEqual([20, 10, 30])
    expect(await lengths('?order_by=media_length')).toEqual([10, 20, 30])
    expect(await lengths('?order_by=media_length&dir=b')).toEqual([30, 20, 10])
    const first = await list('?order_by=media_id&dir=f&limit=2')
    expect(first).toMatchObject({ total: 3, next_token: 2 })
    const last = await list('?order_by=media_id&dir=f&limit=2&from=2')
    expect(last).not.toHaveProperty('next_token')
    expect([...first.media, ...last.media].map(({ media_id }) => media_id)).toEqual(paths.map(idOf).toSorted())
    expect(first.media[0]).toMatchObject({
      ...{ media_type: 'text/plain', upload_name: 'a.txt', quarantined_by: null, safe_from_quarantine: false },
      ...{ created_ts: expect.any(Number), last_access_ts: expect.any(Number) },
    })
    const name = bob.userId.slice(1).split(':')[0]
    const usage = await admin.get(`${V1}/statistics/users/media?search_term=${name}&order_by=media_length&dir=b`)
    expect(usage).toEqual({
      users: [{ user_id: bob.userId, displayname: expect.anything(), media_count: 3, media_length: 60 }],
      total: 1,
    })
    expect(await remove(`${V1}/users/${encode(bob.userId)}/media?order_by=media_length&limit=2`)).toMatchObject({
      total: 2,
    })
    expect(await lengths('')).toEqual([30])
  })

  test('a file is deleted by its id', async () => {
    const path = await upload(alice)
    expect(await remove(`${V1}/media/${path}`)).toEqual({ deleted_media: [idOf(path)], total: 1 })
    expect(await download(path)).toBe(404)
    const again = await admin.ask('DELETE', `${V1}/media/${path}`)
    expect([again.status, again.body.errcode]).toEqual([404, 'M_NOT_FOUND'])
    expect((await admin.ask('DELETE', `${V1}/media/elsewhere.test/abc`)).status).toBe(400)
  })
})

test.each([
  ['GET', `media/hearth.test/x`],
  ['DELETE', 'media/hearth.test/x'],
  ['GET', 'room/!r:hearth.test/media'],
  ['POST', 'room/!r:hearth.test/media/quarantine'],
  ['POST', 'quarantine_media/!r:hearth.test'],
  ['POST', 'user/@u:hearth.test/media/quarantine'],
  ['POST', 'media/quarantine/hearth.test/x'],
  ['POST', 'media/unquarantine/hearth.test/x'],
  ['POST', 'media/protect/x'],
  ['POST', 'media/unprotect/x'],
  ['GET', 'media/quarantine_changes'],
  ['POST', 'media/delete?before_ts=1700000000000'],
  ['POST', 'media/hearth.test/delete?before_ts=1700000000000'],
  ['POST', 'purge_media_cache?before_ts=1700000000000'],
  ['GET', 'users/@u:hearth.test/media'],
  ['DELETE', 'users/@u:hearth.test/media'],
  ['GET', 'statistics/users/media'],
  ['GET', `/_hearth/admin/v1/media/content_rules`],
  ['PUT', `/_hearth/admin/v1/media/content_rules/${'0'.repeat(64)}`],
  ['DELETE', `/_hearth/admin/v1/media/content_rules/${'0'.repeat(64)}`],
  ['GET', `/_hearth/admin/v1/media/quarantined_servers`],
  ['PUT', `/_hearth/admin/v1/media/quarantined_servers/elsewhere.test`],
  ['DELETE', `/_hearth/admin/v1/media/quarantined_servers/elsewhere.test`],
])('%s %s is for administrators', async (method, path) => {
  const answer = await alice.ask(method, absolute(path), method === 'GET' || method === 'DELETE' ? undefined : {})
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test.each([
  ['GET', `media/hearth.test/unknown`, 404, 'M_NOT_FOUND'],
  ['GET', 'media/not a server/x', 400, 'M_INVALID_PARAM'],
  ['POST', 'media/delete', 400, 'M_MISSING_PARAM'],
  ['POST', 'media/delete?before_ts=1700000000', 400, 'M_INVALID_PARAM'],
  ['POST', 'media/elsewhere.test/delete?before_ts=1700000000000', 400, 'M_UNKNOWN'],
  ['POST', 'purge_media_cache', 400, 'M_MISSING_PARAM'],
  ['POST', 'purge_media_cache?before_ts=-1', 400, 'M_INVALID_PARAM'],
  ['POST', 'purge_media_cache?before_ts=1700000000', 400, 'M_INVALID_PARAM'],
  ['GET', 'users/@u:elsewhere.test/media', 400, 'M_UNKNOWN'],
  ['GET', 'users/@nobody-here:{own}/media', 404, 'M_NOT_FOUND'],
  ['GET', 'users/@u:{own}/media?order_by=colour', 400, 'M_INVALID_PARAM'],
  ['GET', 'users/@u:{own}/media?dir=x', 400, 'M_INVALID_PARAM'],
  ['POST', 'media/protect/unknown', 404, 'M_NOT_FOUND'],
  ['POST', 'media/unquarantine/elsewhere.test/unknown', 404, 'M_NOT_FOUND'],
  ['POST', 'media/quarantine/{own}/unknown', 404, 'M_NOT_FOUND'],
  ['GET', 'statistics/users/media?from_ts=5&until_ts=4', 400, 'M_INVALID_PARAM'],
  ['PUT', `/_hearth/admin/v1/media/content_rules/xyz`, 400, 'M_INVALID_PARAM'],
  ['PUT', `/_hearth/admin/v1/media/quarantined_servers/{own}`, 400, 'M_INVALID_PARAM'],
  ['DELETE', `/_hearth/admin/v1/media/quarantined_servers/unknown.test`, 404, 'M_NOT_FOUND'],
])('%s %s: %i %s', async (method, path, status, errcode) => {
  const own = admin.userId.slice(admin.userId.indexOf(':') + 1)
  const answer = await admin.ask(
    method,
    absolute(path.replace('{own}', own)),
    method === 'PUT' ? { verdict: 'deny' } : undefined,
  )
  expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
})
