import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { slidingClient } from '../spec-tests/harness/sliding-client.ts'
import { inParallel, measure, percentile, type Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'

/**
 * Measures the first window of 20 rooms for an account in many rooms and for one in few, by sliding sync as Element X
 * requests it:
 * `node bench/room-list.ts [many] [few]`, by default 5000 and 50. The aim is a factor of at most 1.5.
 */
const [many = 5000, few = 50] = process.argv.slice(2).map(Number)
const ROUNDS = 6
const REPEATS = 20
const WINDOW = {
  ranges: [[0, 19]],
  timeline_limit: 1,
  required_state: [
    ...['name', 'encryption', 'topic', 'avatar', 'canonical_alias', 'power_levels', 'join_rules', 'tombstone'].map(
      (type) => [`m.room.${type}`, ''],
    ),
    ['m.room.create', ''],
    ['m.room.history_visibility', ''],
    ['m.room.member', '$LAZY'],
    ['m.room.member', '$ME'],
    ['m.space.parent', '*'],
    ['m.space.child', '*'],
    ['org.matrix.msc3401.call.member', '*'],
  ],
  filters: { not_room_types: ['m.space'] },
}
const EXTENSIONS = {
  account_data: { enabled: true },
  receipts: { enabled: true, rooms: ['*'] },
  typing: { enabled: true },
}

async function createAccount(url: string, rooms: number): Promise<TestUser> {
  const user = await registerUser(url)
  await inParallel(rooms, 8, async (number) => {
    const { room_id } = await user.post('/_matrix/client/v3/createRoom', { name: `Room ${number}` })
    await sendText(user, room_id, `message ${number}`)
  })
  return user
}

async function firstWindow(user: TestUser): Promise<void> {
  const { rooms } = await slidingClient(user).sync({ lists: { all_rooms: WINDOW }, extensions: EXTENSIONS })
  if (Object.keys(rooms).length !== 20) throw new Error('the window has not 20 rooms')
}

type Times = { wall: number; cpu: number }

/** Alternates, so that other load on the machine affects both equally. */
async function measureOn(target: Target): Promise<{ many: Times; few: Times }> {
  const accounts = { many: await createAccount(target.url, many), few: await createAccount(target.url, few) }
  // The server settles its lists every five seconds.
  await new Promise((resolve) => setTimeout(resolve, 20_000))
  const walls = { many: [] as number[], few: [] as number[] }
  const cpu = { many: 0, few: 0 }
  for (let round = -1; round < ROUNDS; round++)
    for (const name of ['many', 'few'] as const) {
      const used = await measure(target, async () => {
        for (let repeat = 0; repeat < REPEATS; repeat++) {
          const started = performance.now()
          await firstWindow(accounts[name])
          if (round >= 0) walls[name].push(performance.now() - started)
        }
      })
      if (round >= 0) cpu[name] += used.cpu
    }
  const timesOf = (name: 'many' | 'few') => ({ wall: percentile(walls[name], 0.5), cpu: cpu[name] / ROUNDS / REPEATS })
  return { many: timesOf('many'), few: timesOf('few') }
}

const results = { PGlite: await onPglite(measureOn), PostgreSQL: await onPostgresql(measureOn) }
console.log(`| first window of 20 (ms) | ${few} rooms | ${many} rooms | factor |\n|---|---:|---:|---:|`)
for (const [name, times] of Object.entries(results))
  for (const kind of ['wall', 'cpu'] as const) {
    const [of, to] = [times.few[kind], times.many[kind]]
    console.log(
      `| ${name}, ${kind === 'wall' ? 'p50' : 'CPU'} | ${of.toFixed(1)} | ${to.toFixed(1)} | ${(to / of).toFixed(2)} |`,
    )
  }
process.exit(0)
