import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { signedRequest, startLyingServer } from '../harness/lying-server.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
const BURST = 5

beforeAll(async () => {
  const rate_limits = { enabled: true, federation: { per_second: 0.5, burst: BURST } }
  federation = await startFederation()
  hearth = await federation.hearth({ config: { rate_limits } })
}, 300_000)
afterAll(() => federation.dispose())

const path = '/_matrix/federation/v1/query/profile?user_id=%40nobody%3Aelsewhere'

test('a server with too many requests gets the time of its next one; others, and servers whose name it forges, are not delayed', async () => {
  const [busy, calm] = await Promise.all([startLyingServer(federation), startLyingServer(federation)])
  const statuses: number[] = []
  for (let i = 0; i < BURST; i++) statuses.push((await busy.ask(hearth, 'GET', path)).status)
  expect(statuses).not.toContain(429)
  const refused = await pollUntil('it is too much', async () => {
    const answer = await busy.ask(hearth, 'GET', path)
    return answer.status === 429 && answer
  })
  expect(refused.body.errcode).toBe('M_LIMIT_EXCEEDED')
  expect(refused.body.retry_after_ms).toBeGreaterThan(0)
  expect(Number(refused.headers['retry-after'])).toBe(Math.ceil(refused.body.retry_after_ms / 1000))
  // In quick succession: keys are requested again only after some seconds.
  const forged = Array.from({ length: 2 * BURST }, () =>
    signedRequest(federation, hearth, { origin: calm.serverName, path }),
  )
  expect((await Promise.all(forged)).map(({ status }) => status)).toEqual(forged.map(() => 401))
  expect((await calm.ask(hearth, 'GET', path)).status).not.toBe(429)
  await pollUntil('it may ask again', async () => (await busy.ask(hearth, 'GET', path)).status !== 429)
})
