import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { startHearth } from '../spec-tests/harness/hearth.ts'
import { startPostgres } from '../spec-tests/harness/postgres.ts'
import { slidingClient } from '../spec-tests/harness/sliding-client.ts'
import { inParallel, percentile } from './measure.ts'

/**
 * The first window of 20 rooms for an account in many rooms and for one in few, by sliding sync as Element X asks for it:
 * `node bench/room-list.ts [many] [few]`, by default 5000 and 50. The aim is a factor of at most 1.5.
 */
const [many = 5000, few = 50] = process.argv.slice(2).map(Number)
const REPEATS = 40
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

async function firstWindow(user: TestUser): Promise<number> {
  const started = performance.now()
  const { rooms } = await slidingClient(user).sync({ lists: { all_rooms: WINDOW }, extensions: EXTENSIONS })
  if (Object.keys(rooms).length !== 20) throw new Error('the window has not 20 rooms')
  return performance.now() - started
}

async function measureOn(databaseUrl: string | undefined): Promise<{ many: number; few: number }> {
  const hearth = await startHearth(databaseUrl === undefined ? {} : { databaseUrl })
  try {
    const accounts = [await createAccount(hearth.url, many), await createAccount(hearth.url, few)] as const
    const times: [number[], number[]] = [[], []]
    for (let repeat = -10; repeat < REPEATS; repeat++)
      for (const [place, user] of accounts.entries()) {
        const time = await firstWindow(user)
        if (repeat >= 0) times[place]!.push(time)
      }
    return { many: percentile(times[0], 0.5), few: percentile(times[1], 0.5) }
  } finally {
    await hearth.dispose()
  }
}

const postgres = await startPostgres()
const results = { PGlite: await measureOn(undefined), PostgreSQL: await measureOn(await postgres.createDatabase()) }
await postgres.stop()
console.log(`| first window of 20, p50 (ms) | ${few} rooms | ${many} rooms | factor |\n|---|---:|---:|---:|`)
for (const [name, times] of Object.entries(results))
  console.log(
    `| ${name} | ${times.few.toFixed(1)} | ${times.many.toFixed(1)} | ${(times.many / times.few).toFixed(2)} |`,
  )
process.exit(0)
