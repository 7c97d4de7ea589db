import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registerAdmin, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { SHARED_SECRET, type TestHearth } from '../harness/hearth.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let peer: SigningPeer
let admin: TestUser
beforeAll(async () => {
  federation = await startFederation()
  ;[home, peer] = await Promise.all([federation.hearth(), startSigningPeer(federation)])
  admin = await registerAdmin(home.url, SHARED_SECRET)
})
afterAll(() => federation.dispose())

test('other servers get neither files nor thumbnails of quarantined and denied media', async () => {
  const picture = await sharp({ create: { width: 50, height: 50, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  const response = await fetch(`${home.url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${admin.accessToken}`, 'Content-Type': 'image/png' },
    body: new Uint8Array(picture),
  })
  const { content_uri: uri } = (await response.json()) as { content_uri: string }
  const path = uri.slice('mxc://'.length)
  const id = path.split('/')[1]
  const statuses = async () => {
    const get = async (rest: string) =>
      (await peer.send(home, { method: 'GET', path: `/_matrix/federation/v1/media/${rest}` })).status
    return [await get(`download/${id}`), await get(`thumbnail/${id}?width=20&height=20`)]
  }
  expect(await statuses()).toEqual([200, 200])
  await admin.post(`/_synapse/admin/v1/media/quarantine/${path}`)
  expect(await statuses()).toEqual([404, 404])
  await admin.post(`/_synapse/admin/v1/media/unquarantine/${path}`)
  const { media_info: info } = await admin.get(`/_synapse/admin/v1/media/${path}`)
  await admin.put(`/_hearth/admin/v1/media/content_rules/${info.sha256}`, { verdict: 'deny' })
  expect(await statuses()).toEqual([404, 404])
})
