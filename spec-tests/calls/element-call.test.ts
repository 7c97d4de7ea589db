import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser } from '../harness/client.ts'
import { type Caller, openCaller, type RtcMode, serveElementCall } from '../harness/element-call.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { startLivekitServer } from '../harness/livekit-server.ts'
import { createRoom, roomPath, v3 } from '../harness/rooms.ts'
import type { WebSite } from '../harness/web-site.ts'

/**
 * Element Call in three browsers, with two Hearths that each have a LiveKit. Each participant publishes through the
 * LiveKit of their own server. With `SCREENSHOTS=folder`, a picture of each call is stored there.
 */
const MODES: RtcMode[] = ['compatibility']
/** Within which a participant without a connection is gone for the others. */
const GONE_MS = 15_000
const MEMBER = 'org.matrix.msc3401.call.member'

let federation: TestFederation
let here: TestHearth
let there: TestHearth
let site: WebSite
beforeAll(async () => {
  federation = await startFederation()
  ;[here, there, site] = await Promise.all([hearthWithLivekit(), hearthWithLivekit(), serveElementCall()])
  federation.onDispose(() => site.close())
})
afterAll(() => federation?.dispose())

async function hearthWithLivekit(): Promise<TestHearth> {
  const livekit = await startLivekitServer()
  federation.onDispose(() => livekit.stop())
  return federation.hearth({ config: { calls: livekit.calls } })
}

async function openNamed(name: string, hearth: TestHearth): Promise<Caller> {
  const user = await registerUser(hearth.url)
  const { userId } = user
  await user.put(`${v3}/profile/${encodeURIComponent(userId)}/displayname`, { displayname: name })
  const caller = await openCaller(site, user)
  federation.onDispose(() => caller.kill())
  return caller
}

describe.each(MODES)('%s', (mode) => {
  let roomId: string
  /** Alice and Bob are of one server, Carol of the other. */
  let callers: Record<'Alice' | 'Bob' | 'Carol', Caller>
  beforeAll(async () => {
    const [Alice, Bob, Carol] = await Promise.all([
      openNamed('Alice', here),
      openNamed('Bob', here),
      openNamed('Carol', there),
    ])
    callers = { Alice, Bob, Carol }
    roomId = await createRoom(Alice.user, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
    })
    for (const { user } of [Bob, Carol])
      await user.post(`${v3}/join/${encodeURIComponent(roomId)}?server_name=${here.serverName}`)
  })

  test('three users of two servers hear and see each other', async () => {
    showLogsOnFailure()
    for (const caller of Object.values(callers)) await caller.join(roomId, mode)
    await hearAndSeeEachOther(['Alice', 'Bob', 'Carol'])
    const folder = process.env.SCREENSHOTS
    if (folder) await callers.Alice.page.screenshot({ path: join(folder, `call-${mode}.png`) })
  })

  test('a killed browser is gone for the others, though its server restarts in the meantime', async () => {
    showLogsOnFailure()
    expect(await membership('Bob')).toHaveProperty('application', 'm.call')
    const killedAt = Date.now()
    await callers.Bob.kill()
    const restarted = here.kill('SIGKILL').then(() => here.restart())
    await Promise.all([isAlone('Alice', ['Carol']), isAlone('Carol', ['Alice'])])
    expect(Date.now() - killedAt).toBeLessThan(GONE_MS)
    await restarted
    expect(await membership('Bob')).toEqual({})
    await hearAndSeeEachOther(['Alice', 'Carol'])
  })

  test('a participant who hangs up is gone at once', async () => {
    showLogsOnFailure()
    await callers.Carol.hangUp()
    await isAlone('Alice', [])
  })

  type Name = keyof typeof callers

  function showLogsOnFailure(): void {
    onTestFailed(() => {
      for (const [name, caller] of Object.entries(callers)) console.error(`${name}: ${caller.log()}`)
      console.error(here.output(), there.output())
    })
  }

  /** Waits until what each hears and sees of each other one has grown, from now on. */
  async function hearAndSeeEachOther(names: Name[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        const { received, tiles } = callers[name]
        const others = names.filter((other) => other !== name)
        const first = await pollUntil(`media of ${others} reach ${name}`, async () => {
          const now = await received()
          return others.every((other) => now[other]) && now
        })
        await pollUntil(`${name} hears and sees ${others}`, async () => {
          const now = await received()
          return others.every(
            (other) =>
              now[other]!.framesDecoded > first[other]!.framesDecoded &&
              now[other]!.audioEnergy > first[other]!.audioEnergy,
          )
        })
        expect(await tiles()).toEqual(names.toSorted())
      }),
    )
  }

  /** Waits until a participant sees only certain others. */
  async function isAlone(name: Name, others: Name[]): Promise<void> {
    const expected = [name, ...others].sort()
    await pollUntil(`${name} sees only ${others}`, async () => {
      const tiles = await callers[name].tiles()
      return tiles.join() === expected.join()
    })
  }

  /** Returns the state event by which a user is in the call, as the other server has it. */
  async function membership(name: Name): Promise<object> {
    const { userId, deviceId } = callers[name].user
    const key = encodeURIComponent(`_${userId}_${deviceId}_m.call`)
    return callers.Carol.user.get(roomPath(roomId, `state/${MEMBER}/${key}`))
  }
})
