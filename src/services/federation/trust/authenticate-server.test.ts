import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { ServerName } from '../../../core/ids.ts'
import { signText } from '../../../core/signing/sign-json.ts'
import { type SigningKey, signingKeyFromSeed } from '../../../core/signing/signing-key.ts'
import { formatXMatrix, requestText } from '../../../core/signing/x-matrix.ts'
import { fixedClock } from '../../../infra/clock.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { storeServerKeys } from '../../../storage/federation/server-keys.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import { authenticateServer, findClaims, readCredentials } from './authenticate-server.ts'

const NOW = 1_700_000_000_000
const US = 'us' as ServerName
const THEM = 'them' as ServerName
const [current, retired, expired, unknown] = ['current', 'retired', 'expired', 'unknown'].map((name, place) =>
  signingKeyFromSeed(name, Buffer.alloc(32, place + 1)),
) as [SigningKey, SigningKey, SigningKey, SigningKey]
const request = { method: 'PUT', uri: '/_matrix/federation/v1/send/1?x=%20', content: '{"a":1}' }

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

async function setUp() {
  const signingKey = signingKeyFromSeed('ours', Buffer.alloc(32, 9))
  const app = await createTestApp({
    config: { server_name: US },
    database,
    clock: fixedClock(NOW),
    signingKeys: { current: signingKey },
  })
  onTestFinished(() => app.close())
  const row = ({ keyId, publicKey }: SigningKey, valid_until_ts: number, retired = false) => {
    const keys = { server_name: THEM, key_id: keyId, public_key: publicKey }
    return { ...keys, valid_until_ts, retired, fetched_ts: 0, response: '{}' }
  }
  const rows = [row(current, NOW + 1), row(retired, NOW + 1, true), row(expired, NOW - 1)]
  await database.write((tx) => storeServerKeys(tx, rows))
  return {
    signingKey,
    ask: async (headers: string[], asked = request) =>
      authenticateServer(app, await findClaims(app, readCredentials(app, headers), '192.0.2.1'), asked),
  }
}

const header = (key: SigningKey, { origin = THEM, destination = US, signed = request, as = key.keyId } = {}) => {
  const signature = signText(requestText({ ...signed, origin, destination }), key.privateKey)
  return formatXMatrix({ origin, destination, keyId: as, signature })
}

/** https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
test('a request is from whom its signature says, by any one of several keys', async () => {
  const { ask } = await setUp()
  expect(await ask([header(current)])).toEqual({ origin: THEM })
  expect(await ask([header(unknown), header(current)])).toEqual({ origin: THEM })
})

test('requests that were changed, or signed with another key than they name, are refused', async () => {
  const { ask, signingKey } = await setUp()
  const refused = { status: 401, errcode: 'M_UNAUTHORIZED' }
  for (const changed of [{ method: 'POST' }, { uri: '/_matrix/federation/v1/send/2' }, { content: '{"a":2}' }]) {
    await expect(ask([header(current)], { ...request, ...changed })).rejects.toMatchObject(refused)
  }
  const forged = header(unknown, { as: current.keyId })
  await expect(ask([forged])).rejects.toMatchObject({ ...refused, message: expect.stringMatching(/not of them/) })
  const noKey = { ...refused, message: expect.stringMatching(/Unknown key/) }
  const keys = [unknown, retired, expired]
  await Promise.all(keys.map((key) => expect(ask([header(key)])).rejects.toMatchObject(noKey)))
  // This server accepts no request in its own name, even with the right key.
  await expect(ask([header(signingKey, { origin: US })])).rejects.toMatchObject(refused)
})

test('requests for another server, or signed by nobody, are refused', async () => {
  const { ask } = await setUp()
  const elsewhere = header(current, { destination: 'elsewhere' as ServerName })
  const lying = elsewhere.replace('elsewhere', US)
  for (const headers of [[], ['Bearer abc'], [elsewhere], [header(current), elsewhere], [lying]]) {
    await expect(ask(headers)).rejects.toMatchObject({ status: 401, errcode: 'M_UNAUTHORIZED' })
  }
})
