import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { registerUser } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LivekitRooms, startLivekitRooms } from '../harness/livekit-rooms.ts'
import { createRoom } from '../harness/rooms.ts'

let federation: TestFederation
let livekit: LivekitRooms
let hearth: TestHearth
let tokenFile: string

beforeAll(async () => {
  livekit = await startLivekitRooms()
  federation = await startFederation()
  const turn = { uris: [`turn:127.0.0.1:${await freePort()}?transport=tcp`], shared_secret: 'secret' }
  hearth = await federation.hearth({ config: { calls: { livekit: livekitConfig() }, turn } })
  const alice = await registerUser(hearth.url)
  await createRoom(alice)
  tokenFile = join(hearth.configFile, '..', 'token')
  writeFileSync(tokenFile, `${alice.accessToken}\n`)
})
afterAll(async () => {
  await federation?.dispose()
  await livekit?.stop()
})
beforeEach(() => {
  livekit.behave('properly')
  livekit.webhookUrl = undefined
  livekit.createsRooms = false
})

function livekitConfig(changes: object = {}): object {
  const { apiUrl: api_url, apiKey: api_key, secret: api_secret } = livekit
  return { url: api_url.replace('http', 'ws'), api_url, api_key, api_secret, ...changes }
}

/** Runs the doctor with the server's configuration. `changes`: to its LiveKit. */
function doctor({ changes, words = [] }: { changes?: object; words?: string[] } = {}) {
  const file = join(hearth.configFile, '..', 'doctor.json')
  const config = JSON.parse(readFileSync(hearth.configFile, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, calls: { livekit: livekitConfig(changes) } }))
  const program = join(import.meta.dirname, '../../bin/hearth')
  return new Promise<{ code: number; stdout: string }>((resolve) =>
    execFile(program, ['doctor', '--calls', '--config', file, ...words], (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), stdout }),
    ),
  )
}

test('the whole chain of calls is found to be well, except the TURN server', async () => {
  livekit.webhookUrl = hearth.url
  const { code, stdout } = await doctor({ words: ['--token-file', tokenFile] })
  const lines = stdout.split('\n').filter((line) => /^ {2}[✓!✗→]/.test(line))
  const notGood = lines.filter((line) => !line.startsWith('  ✓') && !line.includes('.crt expires on'))
  expect(notGood.join('\n')).toMatch(
    /^ {2}✗ The TURN server turn:127\.0\.0\.1:\d+\?transport=tcp does not answer: connect ECONNREFUSED/,
  )
  for (const found of [
    `Hearth creates rooms in LiveKit at ${livekit.apiUrl}`,
    `Clients connect to LiveKit at ${livekit.apiUrl.replace('http', 'ws')}, by WebSocket`,
    'Webhooks of LiveKit arrive',
    'Clients may schedule the events that end a membership',
    'Clients find LiveKit by the transports of Hearth',
    `Clients reach the token service at ${hearth.url}/livekit/jwt`,
    `Token services of other servers can verify users of ${hearth.serverName}`,
    'Clients get tokens of LiveKit',
  ]) {
    expect(stdout).toContain(`✓ ${found}`)
  }
  expect(stdout).toMatch(/✓ Token services of other servers verify @/)
  expect(code).toBe(1)
})

test('what is wrong with LiveKit is named with its fix', async () => {
  livekit.createsRooms = true
  const open = await doctor()
  expect(open.stdout).toMatch(/! Everyone with a token can create rooms.*\n {4}→ Set auto_create: false/)
  expect(open.stdout).toMatch(/! No webhook of LiveKit arrived within 3 s.*\n {4}→ Add .* webhook: /)
  const { stdout } = await doctor({ changes: { api_secret: 'another secret that LiveKit does not have' } })
  expect(stdout).toMatch(
    /✗ LiveKit at .* does not let Hearth create rooms: .*401.*\n {4}→ Compare calls\.livekit\.api_key/,
  )
  expect(stdout).toMatch(/✗ The LiveKit at .* does not know the key/)
})

test('an unreachable LiveKit and token service are found', async () => {
  const nowhere = `127.0.0.1:${await freePort()}`
  const { stdout } = await doctor({
    changes: { url: `ws://${nowhere}`, api_url: `http://${nowhere}`, service_url: `http://${nowhere}/jwt` },
  })
  expect(stdout).toMatch(/✗ Hearth does not reach LiveKit at .*ECONNREFUSED.*\n {4}→ Start LiveKit/)
  expect(stdout).toMatch(/✗ Clients do not reach LiveKit at ws:.*\n {4}→ Let the reverse proxy route ws:/)
  expect(stdout).toMatch(
    /✗ Clients do not reach the token service: .*ECONNREFUSED.*\n {4}→ Let the reverse proxy route/,
  )
})
