import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { BAD_ANSWERS, type BadAnswer } from '../harness/bad-answers.ts'
import { registerUser } from '../harness/client.ts'
import { ERRANDS, type Errand, type ErrandName, type Scene, setScene } from '../harness/errands.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import type { Asked, RequestKind } from '../harness/honest-answers.ts'
import { answerBadly, type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import { forgetPeak, peakMemory } from '../harness/process-memory.ts'
import { hasEvent, roomPath } from '../harness/rooms.ts'

/**
 * Servers with all kinds of bad responses to all kinds of requests of Hearth, concurrently; docs/federation-faults.md.
 */

/** These keep Hearth waiting until its timeout. */
const SLOW: readonly BadAnswer[] = ['silent', 'stalled', 'trickling']
/** Waits of a minute are for the long run: `BAD_ANSWERS=all`. */
const LONGEST: readonly ErrandName[] = ['invite', 'the second half of a join', 'the second half of a knock']
const isLongRun = process.env.BAD_ANSWERS === 'all'
/** How long a client may wait, with the delay of a busy machine. */
const BOUND_MS = 200_000
const PATIENCE_MS = 240_000
/** Memory that a server may need in addition, in MiB. */
const MEMORY_MIB = 400
/** Scenes that are set up concurrently. */
const AT_ONCE = 6

type Refusal = { status: number; errcode: string }
/** The client's error for refusals; anything else is a failure of the other server: 502. */
const REFUSALS: { [way in BadAnswer]?: Refusal } = {
  'a refusal': { status: 403, errcode: 'M_FORBIDDEN' },
  'a refusal that nests deeply': { status: 403, errcode: 'M_FORBIDDEN' },
  'a refusal without a word': { status: 403, errcode: 'M_UNKNOWN' },
  'a refusal without JSON': { status: 403, errcode: 'M_UNKNOWN' },
  'a refusal of wrong types': { status: 403, errcode: 'M_UNKNOWN' },
  'an errcode that is none': { status: 403, errcode: 'M_UNKNOWN' },
  'not found': { status: 404, errcode: 'M_NOT_FOUND' },
  'an endless error': { status: 404, errcode: 'M_UNKNOWN' },
  'not found without JSON': { status: 404, errcode: 'M_UNKNOWN' },
  'too many requests': { status: 429, errcode: 'M_LIMIT_EXCEEDED' },
  'too many requests without JSON': { status: 429, errcode: 'M_UNKNOWN' },
}
const BAD_GATEWAY: Refusal = { status: 502, errcode: 'M_UNKNOWN' }
const NOT_FOUND: Refusal = { status: 404, errcode: 'M_NOT_FOUND' }

function expectedOf(errand: ErrandName, way: BadAnswer): Refusal | undefined {
  const { failure } = ERRANDS[errand]
  const refusal = REFUSALS[way]
  if (failure === 'none') return undefined
  if (failure === 'not found') return NOT_FOUND
  const isOfDirectory = errand === 'alias' || errand === 'join by alias'
  if (refusal?.status === 404 && (isOfDirectory || errand === 'file' || errand === 'thumbnail')) return NOT_FOUND
  if (refusal?.status === 429 && failure === 'in turn') return BAD_GATEWAY
  return refusal ?? BAD_GATEWAY
}

/** Among values of all types some are valid: a profile may have a name, and a knock accepts almost any response. */
function mayBeRight(way: BadAnswer): boolean {
  return /^of .*wrong types/.test(way)
}

let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
/** A server that responds, and a user in its room. */
let healthy: LyingServer
let memoryBefore: number

type Outcome = { status: number; errcode?: string; tookMs: number; body: unknown }
/** A scene under a bad response, and the result of each errand. */
type Trial = {
  scene: Scene
  outcomes: Map<ErrandName, Outcome | Error>
  missed: Awaited<ReturnType<typeof sendWithGap>>
  /** The responses to the server while its new key is unavailable. */
  asUnknown: unknown[]
}
/** The steps under a bad response; all kinds run concurrently. */
type Steps = { tried: Promise<Trial>; nothingThere: Promise<void>; recovered: Promise<void> }
const trials = new Map<BadAnswer, Steps>()

/** Kinds that resemble others are for the long run. */
const ALIKE: readonly BadAnswer[] = [
  'stalled',
  'nothing at all',
  'no UTF-8',
  'a text',
  'a number',
  'a list',
  'of other wrong types',
  'of wrong types again',
  'of wrong types once more',
  'a huge text',
  'a server error without JSON',
  'unauthorized',
  'a refusal without a word',
  'a refusal without JSON',
  'a refusal of wrong types',
  'a refusal that nests deeply',
  'an errcode that is none',
  'not found without JSON',
  'too many requests without JSON',
]
const only = process.env.ONLY?.split(',')
const ways = (Object.keys(BAD_ANSWERS) as BadAnswer[]).filter((way) =>
  only ? only.includes(way) : isLongRun || !ALIKE.includes(way),
)
const errandsUnder = (way: BadAnswer) =>
  (Object.keys(ERRANDS) as ErrandName[]).filter((name) => isLongRun || !SLOW.includes(way) || !LONGEST.includes(name))

beforeAll(async () => {
  federation = await startFederation()
  hearth = await federation.hearth()
  healthy = await startLyingServer(federation)
  const scenes = await inTurns(ways, async (way): Promise<[BadAnswer, Scene]> => {
    const [peer, user] = await Promise.all([startLyingServer(federation), registerUser(hearth.url)])
    return [way, await setScene(hearth, peer, user)]
  })
  forgetPeak(hearth.pid)
  memoryBefore = peakMemory(hearth.pid)
  for (const [way, scene] of scenes) {
    const tried = tryAll(way, scene)
    const nothingThere = tried.then((trial) => findNothing(way, trial))
    const recovered = nothingThere.then(async () => recover(await tried))
    // They are awaited one after the other.
    recovered.catch(() => {})
    trials.set(way, { tried, nothingThere, recovered })
  }
}, 300_000)
afterAll(() => federation.dispose())

async function inTurns<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const waiting = [...items.entries()]
  const results: Result[] = []
  const go = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1])
  }
  await Promise.all(Array.from({ length: AT_ONCE }, go))
  return results
}

const KINDS = [...new Set(Object.values(ERRANDS).flatMap((errand): readonly RequestKind[] => errand.kinds))]
const OF_EVENTS = ['missing_events', 'send', 'keys'] as const
const ALL_KINDS: readonly RequestKind[] = [...KINDS, ...OF_EVENTS]

/** Both halves of a handshake are never reached if the first is bad: in these rooms the first is good. */
function isSpared({ toSendJoin, toSendKnock, toSendRefusal }: Scene, { kind, path }: Asked): boolean {
  const spared = { make_join: toSendJoin, make_knock: toSendKnock, make_leave: toSendRefusal }[kind as 'make_join']
  return spared !== undefined && decodeURIComponent(path).includes(spared.roomId)
}

async function tryAll(way: BadAnswer, scene: Scene): Promise<Trial> {
  const { peer } = scene
  for (const kind of ALL_KINDS) {
    peer.lie(kind, (asked, response) => (isSpared(scene, asked) ? undefined : answerBadly(response, way)))
  }
  const missed = await sendWithGap(scene)
  const outcomes = new Map(
    await Promise.all(errandsUnder(way).map(async (name) => [name, await outcomeOf(ERRANDS[name], scene)] as const)),
  )
  peer.changeKey()
  const { status, body } = await peer.ask(hearth, 'GET', PROFILE_PATH)
  return { scene, outcomes, missed, asUnknown: [status, body.errcode] }
}

async function findNothing(way: BadAnswer, { scene, missed }: Trial): Promise<void> {
  const { user, shared, policed, own, space } = scene
  const { joined_rooms } = await user.get('/_matrix/client/v3/joined_rooms')
  expect(new Set(joined_rooms)).toEqual(new Set([shared.roomId, policed.roomId, own, space]))
  const { rooms } = await user.get('/_matrix/client/v3/sync')
  expect(Object.keys(rooms.invite ?? {})).toEqual([])
  if (!mayBeRight(way)) expect(Object.keys(rooms.knock ?? {})).toEqual([])
  expect(await hasEvent(user, missed)).toBe(false)
  const { chunk } = await user.get(roomPath(own, 'members'))
  expect(chunk.map(({ state_key }: { state_key: string }) => state_key)).toEqual([user.userId])
}

/** Lets the server respond correctly from now on. */
async function recover({ scene, missed }: Trial): Promise<void> {
  for (const kind of ALL_KINDS) scene.peer.lie(kind, undefined)
  // A permanently refused, dropped event is sent again; now the server's new key is available, too.
  await pollUntil('its key is had', async () => scene.peer.send(hearth, [missed]), PATIENCE_MS, 1000)
  await Promise.all([
    pollUntil('the event is there', () => hasEvent(scene.user, missed), PATIENCE_MS),
    ...(Object.entries(ERRANDS) as [ErrandName, Errand][]).map(([name, errand]) =>
      pollUntil(
        name,
        async () => {
          const { status, body } = await errand.ask(scene)
          if (status === 200 && errand.isDone(body, scene)) return true
          throw new Error(`${status} ${JSON.stringify(body)}`)
        },
        PATIENCE_MS,
        1000,
      ),
    ),
  ])
}

const PROFILE_PATH = '/_matrix/federation/v1/query/profile?user_id=%40nobody%3Aelsewhere'

async function outcomeOf(errand: Errand, scene: Scene): Promise<Outcome | Error> {
  const start = Date.now()
  try {
    const { status, body } = await errand.ask(scene)
    return { status, errcode: body?.errcode, tookMs: Date.now() - start, body }
  } catch (error) {
    return error as Error
  }
}

/** Sends an event with missing predecessors. */
async function sendWithGap({ hearth: to, peer, shared }: Scene) {
  const events = shared.say(3, 'gap')
  const last = events.at(-1)!
  await peer.send(to, [last])
  return last
}

test('a server that answers well is served in the meantime', { timeout: PATIENCE_MS }, async () => {
  const user = await registerUser(hearth.url)
  const scene = await setScene(hearth, healthy, user)
  const [message] = scene.shared.say(1, 'hello')
  await healthy.send(hearth, [message])
  await pollUntil('the message is there', () => hasEvent(user, message!))
  for (const [name, errand] of Object.entries(ERRANDS) as [ErrandName, Errand][]) {
    const { status, body } = await errand.ask(scene)
    expect([name, status, body, Boolean(errand.isDone(body, scene))]).toEqual([name, 200, body, true])
  }
})

describe.each(ways)('%s', { timeout: PATIENCE_MS + BOUND_MS }, (way) => {
  test('each errand ends in time, as it should', async () => {
    const trial = await trials.get(way)!.tried
    for (const [name, outcome] of trial.outcomes) {
      expect([name, outcome]).toEqual([name, expect.not.objectContaining({ message: expect.anything() })])
      const { status, errcode, tookMs } = outcome as Outcome
      const expected = expectedOf(name, way) ?? { status: 200, errcode: undefined }
      const isByChance = mayBeRight(way) && status === 200
      expect([name, isByChance ? expected : { status, errcode }, tookMs < BOUND_MS]).toEqual([name, expected, true])
    }
    for (const name of ['keys of users', 'one-time keys'] as const) {
      const { failures } = (trial.outcomes.get(name) as Outcome).body as { failures: object }
      // Odd values inside a valid response are skipped.
      if (!mayBeRight(way)) expect(Object.keys(failures)).toEqual([trial.scene.peer.serverName])
    }
    expect(trial.asUnknown).toEqual([401, 'M_UNAUTHORIZED'])
  })

  test('nothing of it is there', () => trials.get(way)!.nothingThere)

  test('once the server answers well, so does Hearth', () => trials.get(way)!.recovered)
})

test('memory stays bounded, and nothing went wrong in Hearth', async () => {
  await Promise.all([...trials.values()].map(({ recovered }) => recovered))
  expect(peakMemory(hearth.pid) - memoryBefore).toBeLessThan(MEMORY_MIB)
  expect(hearth.output()).not.toMatch(/"level":"(error|fatal)"|^\w*Error:/m)
})
