import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type CallBrowser, type CallPage, startCallBrowser } from '../harness/call-page.ts'
import { registerUser } from '../harness/client.ts'
import { type Coturn, startCoturn } from '../harness/coturn.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

const v3 = '/_matrix/client/v3'
const SECRET = 'what Hearth and coturn share'
/** A call that rings later was not delivered promptly; far more than needed, for busy machines. */
const PROMPT_MS = 15_000

let coturn: Coturn
let hearth: TestHearth
let browser: CallBrowser
beforeAll(async () => {
  coturn = await startCoturn(SECRET)
  const turn = { uris: [coturn.uri], shared_secret: SECRET }
  ;[hearth, browser] = await Promise.all([startHearth({ config: { turn } }), startCallBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await hearth?.dispose()
  await coturn?.stop()
})

const isIn = (page: CallPage, state: string) =>
  pollUntil(`the call is ${state}`, async () => (await page.run('state')) === state)

/** https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip */
test('two people see and hear each other by a TURN server alone, and hang up', async () => {
  const [alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, {
    preset: 'trusted_private_chat',
    is_direct: true,
    invite: [bob.userId],
  })
  await bob.post(`${v3}/join/${encodeURIComponent(roomId)}`)
  const [caller, callee] = [await browser.open(alice), await browser.open(bob)]

  const calledAt = await caller.run('call', roomId)
  const rang = await pollUntil('it rings', async () => (await callee.seen()).find(({ state }) => state === 'incoming'))
  expect(rang.at - calledAt).toBeLessThan(PROMPT_MS)
  await isIn(callee, 'ringing')
  await callee.run('answer')
  await Promise.all([isIn(caller, 'connected'), isIn(callee, 'connected')])

  for (const page of [caller, callee]) {
    const first = await pollUntil('media comes', async () => {
      const now = await page.run('statistics')
      return now.audioBytes > 0 && now.framesDecoded > 0 && now
    })
    expect([first.local, first.remote]).toEqual(['relay', 'relay'])
    await pollUntil('more media comes', async () => {
      const now = await page.run('statistics')
      return (
        now.audioBytes > first.audioBytes &&
        now.videoBytes > first.videoBytes &&
        now.framesDecoded > first.framesDecoded
      )
    })
  }

  await callee.run('hangUp')
  await Promise.all([isIn(caller, 'ended'), isIn(callee, 'ended')])
  const { chunk } = await alice.get(`${v3}/rooms/${encodeURIComponent(roomId)}/messages?dir=f&limit=100`)
  const calls = chunk.filter(({ type }: { type: string }) => type.startsWith('m.call.'))
  const order = calls.map(({ type }: { type: string }) => type)
  expect(order.filter((type: string) => type !== 'm.call.candidates')).toEqual([
    'm.call.invite',
    'm.call.answer',
    'm.call.select_answer',
    'm.call.hangup',
  ])
  expect(new Set(calls.map(({ content }: { content: { call_id: string } }) => content.call_id)).size).toBe(1)
  const errors = [...(await caller.seen()), ...(await callee.seen())].filter(({ error }) => error)
  expect(errors).toEqual([])
})
