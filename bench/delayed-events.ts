import { registerUser, type TestUser } from '../spec-tests/harness/client.ts'
import { inParallel, measure, percentile, type Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'

/**
 * Measures delayed events that clients restart every 5 seconds, as participants of calls do: `node
 * bench/delayed-events.ts [events] [rounds]`, by default 1000 and 6. Prints the share of one processor that the server
 * uses, its database included, also at rest, and how long a restart takes.
 */
const [events = 1000, rounds = 6] = process.argv.slice(2).map(Number)
const EVERY_MS = 5000
const PER_USER = 100
const UNSTABLE = '/_matrix/client/unstable/org.matrix.msc4140'
const DELAY = { 'org.matrix.msc4140.delay': '30000' }

async function schedule(target: Target): Promise<string[]> {
  const delayIds: string[] = []
  const users: { user: TestUser; roomId: string }[] = []
  for (let count = 0; count < events; count += PER_USER) {
    const user = await registerUser(target.url)
    users.push({ user, roomId: (await user.post('/_matrix/client/v3/createRoom', {})).room_id })
  }
  await inParallel(events, 8, async (number) => {
    const { user, roomId } = users[Math.floor(number / PER_USER)]!
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/org.example.member/${number}`
    delayIds.push((await user.put(`${path}?${new URLSearchParams(DELAY)}`, {})).delay_id)
  })
  return delayIds
}

/** Spreads the restarts evenly over the interval. */
async function restartAll(target: Target, delayIds: readonly string[], times: number[]): Promise<void> {
  const began = performance.now()
  await Promise.all(
    delayIds.map(async (delayId, number) => {
      await until(began + (number * EVERY_MS) / delayIds.length)
      const started = performance.now()
      const { status } = await fetch(`${target.url}${UNSTABLE}/delayed_events/${delayId}/restart`, { method: 'POST' })
      if (status !== 200) throw new Error(`a restart answers ${status}`)
      times.push(performance.now() - started)
    }),
  )
  await until(began + EVERY_MS)
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())))
}

async function measureOn(target: Target): Promise<Record<string, number>> {
  const delayIds = await schedule(target)
  await restartAll(target, delayIds, [])
  const times: number[] = []
  const { wall, cpu } = await measure(target, async () => {
    for (let round = 0; round < rounds; round++) await restartAll(target, delayIds, times)
  })
  await inParallel(events, 8, (number) =>
    fetch(`${target.url}${UNSTABLE}/delayed_events/${delayIds[number]}/cancel`, { method: 'POST' }),
  )
  const rest = await measure(target, () => until(performance.now() + EVERY_MS))
  return {
    'share of a processor (%)': (100 * cpu) / wall,
    '… without delayed events (%)': (100 * rest.cpu) / rest.wall,
    'CPU for one restart (ms)': (cpu - (rest.cpu / rest.wall) * wall) / events / rounds,
    'time of a restart, p50 (ms)': percentile(times, 0.5),
    '… p99 (ms)': percentile(times, 0.99),
  }
}

const columns = { PGlite: await onPglite(measureOn), PostgreSQL: await onPostgresql(measureOn) }
console.log(`| ${events} delayed events | PGlite | PostgreSQL |\n|---|---:|---:|`)
for (const [name, value] of Object.entries(columns.PGlite))
  console.log(
    `| ${name} | ${value.toPrecision(3)} | ${columns.PostgreSQL[name as keyof typeof columns.PGlite]!.toPrecision(3)} |`,
  )
process.exit(0)
