import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { askServer } from '../harness/peer.ts'
import { createRoom } from '../harness/rooms.ts'
import {
  agreeOnHistory,
  agreeOnState,
  joinVia,
  type SideName,
  type SynapsePair,
  seesEvent,
  seesMember,
  startPair,
} from '../harness/synapse-pair.ts'

const PATIENCE_MS = 240_000

let pair: SynapsePair
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  pair = await startPair()
  ;[alice, bob] = await Promise.all([registerUser(pair.Hearth.url), registerUser(pair.Synapse.url)])
})
afterAll(() => pair?.dispose())

type Keys = {
  verify_keys: Record<string, { key: string }>
  old_verify_keys: Record<string, { key: string; expired_ts: number }>
}
const keysOf = async (side: SideName): Promise<Keys> =>
  (await askServer(pair.federation, pair[side].serverName, '/_matrix/key/v2/server')).body

/** Restarts a server with a new signing key, as its administrator would, and returns the new key ID. */
async function changeKey(side: SideName): Promise<string> {
  const server = pair[side]
  const { verify_keys } = await keysOf(side)
  await server.kill('SIGKILL')
  const file = join(dirname(server.configFile), 'new-signing.key')
  writeFileSync(file, `ed25519 a_new ${randomBytes(32).toString('base64').replace('=', '')}\n`)
  const old = Object.entries(verify_keys).map(([id, { key }]) => [id, { key, expired_ts: Date.now() }])
  const changes = {
    Hearth: { signing_key: file },
    Synapse: { signing_key_path: file, old_signing_keys: Object.fromEntries(old) },
  }[side]
  writeFileSync(
    server.configFile,
    JSON.stringify({ ...JSON.parse(readFileSync(server.configFile, 'utf8')), ...changes }),
  )
  await server.restart()
  return 'ed25519:a_new'
}

/** https://spec.matrix.org/v1.19/server-server-api/#publishing-keys */
test(
  'servers change their keys and go on; who comes later believes what was signed with the old ones',
  async () => {
    const before = { Hearth: await keysOf('Hearth'), Synapse: await keysOf('Synapse') }
    const roomId = await createRoom(alice)
    await joinVia(bob, roomId, alice)
    await seesMember(alice, roomId, { of: bob, membership: 'join' })
    await seesEvent(alice, roomId, await sendText(bob, roomId, 'signed with the old key of Synapse'))
    await seesEvent(bob, roomId, await sendText(alice, roomId, 'signed with the old key of Hearth'))
    for (const [side, notary, speaker, listener] of [
      ['Synapse', 'Hearth', bob, alice],
      ['Hearth', 'Synapse', alice, bob],
    ] as const) {
      const newKey = await changeKey(side)
      const published = await keysOf(side)
      const [[oldKey, { key }]] = Object.entries(before[side].verify_keys) as [[string, { key: string }]]
      expect(Object.keys(published.verify_keys)).toContain(newKey)
      // A key that other processes may still sign with stays in use for a while.
      expect({ ...published.verify_keys, ...published.old_verify_keys }[oldKey]).toMatchObject({ key })
      await seesEvent(listener, roomId, await sendText(speaker, roomId, `signed with the new key of ${side}`))
      await pollUntil(`${notary} vouches for the new key`, async () => {
        const server_keys = { [pair[side].serverName]: { [newKey]: { minimum_valid_until_ts: Date.now() } } }
        const answer = await askServer(pair.federation, pair[notary].serverName, '/_matrix/key/v2/query', {
          server_keys,
        })
        return answer.body.server_keys.some((told: Keys) => newKey in told.verify_keys)
      })
    }
    const later = await pair.federation.hearth()
    const carol = await registerUser(later.url)
    await joinVia(carol, roomId, bob)
    await agreeOnState(roomId, alice, carol)
    await agreeOnHistory(roomId, alice, carol)
  },
  PATIENCE_MS,
)
