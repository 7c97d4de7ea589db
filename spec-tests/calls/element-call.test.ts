import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { registerUser } from '../harness/client.ts'
import { type Caller, openCaller, type RtcMode, serveElementCall } from '../harness/element-call.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { createLivekitServer } from '../harness/livekit-server.ts'
import { createRoom, v3 } from '../harness/rooms.ts'
import type { WebSite } from '../harness/web-site.ts'

type Name = 'Alice' | 'Bob' | 'Carol'
/**
 * A call. `delegating`: callers who hand their leave events over to the server; Element Call restarts those of the
 * others. `processes`: of the server of Alice and Bob.
 */
type Call = { mode: RtcMode; delegating: Name[]; processes: 1 | 2 }

/**
 * Element Call in three browsers, with two Hearths that each have a LiveKit. Each participant publishes through the
 * LiveKit of their own server. `CALLS=long` holds further calls. With `SCREENSHOTS=folder`, a picture of each is stored.
 */
const SHORT: Call[] = [{ mode: 'compatibility', delegating: ['Carol'], processes: 1 }]
const LONG: Call[] = [
  ...SHORT,
  { mode: 'compatibility', delegating: ['Bob'], processes: 1 },
  { mode: 'compatibility', delegating: ['Carol'], processes: 2 },
  { mode: 'compatibility', delegating: ['Bob'], processes: 2 },
  { mode: 'matrix_2_0', delegating: ['Carol'], processes: 1 },
  { mode: 'matrix_2_0', delegating: ['Bob'], processes: 1 },
]
const CALLS = process.env.CALLS === 'long' ? LONG : SHORT

/** Within which a participant without a connection is gone for the others. */
const GONE_MS = 15_000
/** LiveKit itself gives up a dead connection after 20 s. */
const GONE_FOR_LIVEKIT_MS = 30_000
const UNSTABLE = '/_matrix/client/unstable/org.matrix.msc4140'

let site: WebSite
beforeAll(async () => {
  site = await serveElementCall()
})
afterAll(() => site?.close())

describe.each(CALLS)('$mode, delegating: $delegating, processes: $processes', ({ mode, delegating, processes }) => {
  let federation: TestFederation
  /** The server of Alice and Bob; Bob's client uses the last process. */
  let here: TestHearth[]
  /** The server of Carol. */
  let there: TestHearth[]
  let roomId: string
  let callers: Record<Name, Caller>
  beforeAll(async () => {
    federation = await startFederation()
    ;[here, there] = await Promise.all([startServer(federation, processes), startServer(federation, 1)])
    const open = async (name: Name, hearth: TestHearth) => {
      const user = await registerUser(hearth.url)
      await user.put(`${v3}/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname: name })
      return openCaller(site, user)
    }
    const opening = [open('Alice', here[0]!), open('Bob', here.at(-1)!), open('Carol', there[0]!)] as const
    const [Alice, Bob, Carol] = await Promise.all(opening)
    callers = { Alice, Bob, Carol }
    roomId = await createRoom(Alice.user, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
    })
    for (const { user } of [Bob, Carol])
      await user.post(`${v3}/join/${encodeURIComponent(roomId)}?server_name=${here[0]!.serverName}`)
  })
  afterAll(async () => {
    await Promise.all(Object.values(callers ?? {}).map((caller) => caller.kill()))
    await federation?.dispose()
  })

  test('three users of two servers hear and see each other', async () => {
    showLogsOnFailure()
    const names: Name[] = ['Alice', 'Bob', 'Carol']
    for (const name of names) await callers[name].join(roomId, { mode, delegates: delegating.includes(name) })
    await hearAndSeeEachOther(names)
    const folder = process.env.SCREENSHOTS
    if (folder) await callers.Alice.page.screenshot({ path: join(folder, `call-${mode}.png`) })
  })

  test.each(['Bob', 'Carol'] as const)(
    'the leave event of %s waits for an hour only if it is handed over',
    async (name) => {
      const { delayed_events } = await callers[name].user.get(`${UNSTABLE}/delayed_events`)
      const hours = delayed_events.map(({ delay_ms }: { delay_ms: number }) => delay_ms / 3_600_000)
      expect(hours).toEqual([delegating.includes(name) ? 1 : expect.closeTo(0)])
    },
  )

  test('a killed browser is gone for the others, though its process ends in the meantime', async () => {
    showLogsOnFailure()
    const killedAt = Date.now()
    await callers.Bob.kill()
    const restarted = processes === 1 ? restart(here[0]!) : here[1]!.kill('SIGKILL')
    await seesOnly('Carol', ['Alice'])
    expect(Date.now() - killedAt).toBeLessThan(delegating.includes('Bob') ? GONE_FOR_LIVEKIT_MS : GONE_MS)
    await restarted
    // Alice's client waits for up to 10 s before it tries again to reach its server.
    await seesOnly('Alice', ['Carol'])
    await hearAndSeeEachOther(['Alice', 'Carol'])
  })

  test('a closed tab is gone, though its server restarts in the meantime', async () => {
    showLogsOnFailure()
    const closedAt = Date.now()
    await callers.Carol.closeTab()
    const restarted = restart(there[0]!)
    await seesOnly('Alice', [])
    expect(Date.now() - closedAt).toBeLessThan(GONE_MS)
    await restarted
  })

  test('the last participant hangs up, and nobody is in the call', async () => {
    showLogsOnFailure()
    await callers.Alice.hangUp()
    await pollUntil('the call is over', async () => (await callers.Alice.members(roomId)).length === 0)
  })

  test('no server logged an error, and no request met a rate limit', () => {
    for (const { output } of [...here, ...there]) expect(output()).not.toContain('"level":"error"')
    for (const { limited } of Object.values(callers)) expect(limited()).toEqual([])
  })

  function showLogsOnFailure(): void {
    onTestFailed(() => {
      for (const [name, caller] of Object.entries(callers)) console.error(`${name}: ${caller.log()}`)
      for (const { output } of [...here, ...there]) console.error(output())
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

  /**
   * Waits until a participant sees only certain others. Element Call 0.26.1 computes members from sticky events in
   * parallel, and an old result may come last. Later versions of matrix-js-sdk, such as that of its host, do not.
   */
  async function seesOnly(name: Name, others: Name[]): Promise<void> {
    const names = [name, ...others].sort()
    const userIds = names.map((each) => callers[each].user.userId)
    await pollUntil(`${name} sees only ${others}`, async () => {
      const members = await callers[name].members(roomId)
      const tiles = mode === 'matrix_2_0' ? names : await callers[name].tiles()
      return tiles.join() === names.join() && members.sort().join() === userIds.sort().join()
    })
  }
})

async function restart(hearth: TestHearth): Promise<void> {
  await hearth.kill('SIGKILL')
  await hearth.restart()
}

/** Starts a Hearth with a LiveKit. Two processes use PostgreSQL. */
async function startServer(federation: TestFederation, processes: 1 | 2): Promise<TestHearth[]> {
  const livekit = await createLivekitServer()
  federation.onDispose(() => livekit.stop())
  const postgres = processes > 1 ? await startPostgres() : undefined
  federation.onDispose(() => postgres?.stop())
  // With the limits that servers have by default.
  const config = { calls: livekit.calls, rate_limits: { enabled: true } }
  const database = postgres && { databaseUrl: await postgres.createDatabase() }
  const first = await federation.hearth({ ...database, config })
  await livekit.start({ webhook: `${first.url}/livekit/jwt/sfu_webhook` })
  if (!database) return [first]
  const media = { storage_dir: join(dirname(first.configFile), 'data', 'media') }
  const second = { ...config, media, public_base_url: first.url }
  return [first, await federation.hearth({ ...database, serverName: first.serverName, config: second })]
}
