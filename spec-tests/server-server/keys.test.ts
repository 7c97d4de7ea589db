import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { PROGRAM, type TestHearth } from '../harness/hearth.ts'
import { askServer } from '../harness/peer.ts'
import { createRoom, hasEvent, roomPath } from '../harness/rooms.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation(2)
})
afterAll(() => federation.dispose())

/** Returns a copy with sorted keys. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, ordered(item)]),
  )
}

/** https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys */
test('a server publishes its keys, and as a notary those of others', async () => {
  const [one, other] = federation.servers.map((server) => server.serverName) as [string, string]
  const own = await askServer(federation, one, '/_matrix/key/v2/server')
  expect(own).toMatchObject({ status: 200, body: { server_name: one } })
  const { signatures: _, ...signed } = own.body
  // Some servers verify the text as received, without sorting it.
  expect(JSON.stringify(signed)).toBe(JSON.stringify(ordered(signed)))
  const [keyId] = Object.keys(own.body.verify_keys)
  expect(Object.keys(own.body.signatures[one])).toEqual([keyId])
  expect(own.body.valid_until_ts).toBeGreaterThan(Date.now())
  const told = await askServer(federation, other, `/_matrix/key/v2/query/${encodeURIComponent(one)}`)
  expect(told.body.server_keys).toHaveLength(1)
  expect(told.body.server_keys[0]).toMatchObject({ server_name: one, verify_keys: own.body.verify_keys })
  expect(Object.keys(told.body.server_keys[0].signatures).sort()).toEqual([one, other].sort())
})

/** https://spec.matrix.org/v1.19/server-server-api/#publishing-keys */
test('after a rotation by command the peer accepts events by both keys, also after a restart', async () => {
  const [one, other] = federation.servers as [TestHearth, TestHearth]
  const [alice, bob] = await Promise.all([registerUser(one.url), registerUser(other.url)])
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  const early = await sendText(alice, roomId, 'signed with the old key')
  const command = (name: string) =>
    JSON.parse(execFileSync(PROGRAM, ['signing-key', name, '--json', '--config', one.configFile], { encoding: 'utf8' }))
      .signing_keys as { key_id: string; expired_ts: number | null }[]
  const [old] = command('list')
  const [current, previous] = command('rotate')
  expect([current!.expired_ts, previous!.key_id]).toEqual([null, old!.key_id])
  const published = async () => (await askServer(federation, one.serverName, '/_matrix/key/v2/server')).body
  await pollUntil('the server signs with the new key', async () =>
    Object.keys((await published()).signatures[one.serverName]).includes(current!.key_id),
  )
  expect(Object.keys((await published()).verify_keys).sort()).toEqual([current!.key_id, old!.key_id].sort())
  await bob.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?server_name=${one.serverName}`, {})
  const arrives = (event_id: string) =>
    pollUntil(`${event_id} arrives`, () => hasEvent(bob, { room_id: roomId, event_id }))
  await arrives(await sendText(alice, roomId, 'signed with the new key'))
  await bob.get(roomPath(roomId, 'messages?dir=b&limit=50'))
  await arrives(early)
  await one.kill('SIGTERM')
  await one.restart()
  expect((await published()).signatures[one.serverName]).toHaveProperty([current!.key_id])
  await arrives(await sendText(alice, roomId, 'signed after a restart'))
})
