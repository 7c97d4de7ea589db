import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { startSynapse } from '../harness/synapse.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  federation = await startFederation()
  const [hearth, synapse] = await Promise.all([federation.hearth(), startSynapse(federation)])
  ;[alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(synapse.url)])
})
afterAll(() => federation.dispose())

async function upload(user: TestUser, content: Buffer, type: string, name: string): Promise<string> {
  const answer = await fetch(`${user.url}/_matrix/media/v3/upload?filename=${encodeURIComponent(name)}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.accessToken}`, 'Content-Type': type },
    body: content as never,
  })
  return ((await answer.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

const get = (user: TestUser, path: string) =>
  fetch(`${user.url}/_matrix/client/v1/media/${path}`, { headers: { Authorization: `Bearer ${user.accessToken}` } })

const pairs = () => [
  { viewer: alice, owner: bob, way: 'Hearth from Synapse' },
  { viewer: bob, owner: alice, way: 'Synapse from Hearth' },
]

/** https://spec.matrix.org/v1.19/server-server-api/#content-repository */
test('files of the other server come whole, with type and name', async () => {
  for (const { viewer, owner, way } of pairs()) {
    const content = Buffer.from(`--x\r\n${'α'.repeat(200_000)}\r\n--x--`)
    const name = await upload(owner, content, 'text/plain', 'größe.txt')
    for (const _ of ['fetched', 'kept']) {
      const answer = await get(viewer, `download/${name}`)
      expect([answer.status, answer.headers.get('content-type'), way]).toEqual([
        200,
        expect.stringMatching(/^text\/plain/),
        way,
      ])
      expect(decodeURIComponent(answer.headers.get('content-disposition')!)).toContain('größe.txt')
      expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true)
    }
  }
})

test('thumbnails of the other server’s images', async () => {
  for (const { viewer, owner, way } of pairs()) {
    const image = sharp({
      create: { width: 800, height: 600, channels: 3, background: way.startsWith('H') ? 'red' : 'blue' },
    })
    const name = await upload(owner, await image.png().toBuffer(), 'image/png', 'image.png')
    const answer = await get(viewer, `thumbnail/${name}?width=100&height=100&method=scale`)
    expect([answer.status, way]).toEqual([200, way])
    const { width = 0 } = await sharp(Buffer.from(await answer.arrayBuffer())).metadata()
    expect(width).toBeGreaterThanOrEqual(100)
    expect(width).toBeLessThan(800)
  }
})

test('a file that the other server does not have is not found', async () => {
  for (const { viewer, owner } of pairs()) {
    const server = owner.userId.slice(owner.userId.indexOf(':') + 1)
    expect((await get(viewer, `download/${server}/nothing`)).status).toBe(404)
  }
})
