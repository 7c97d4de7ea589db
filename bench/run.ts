import { residentMiB } from './cpu-time.ts'
import type { Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'
import { delivery, type Figure, fanOut, media, reading, roomSizes, sends, states } from './scenarios.ts'

/**
 * Measures Hearth on both databases and prints a table: `npm run bench`. `npm run bench -- pglite` measures one.
 * HOMESERVER_URL and HOMESERVER_PIDS (comma-separated, its database's included) measure another homeserver with the
 * same requests.
 */
async function scenariosOn(target: Target): Promise<Figure[]> {
  return [
    ...(await sends(target, 16, 4000)),
    ...(await sends(target, 1, 3000)),
    ...(await states(target, 2000)),
    ...(await delivery(target, 100)),
    ...(await fanOut(target, 100, 10)),
    ...(await roomSizes(target, { few: 10, many: 1000, messages: 2000 })),
    ...(await reading(target, 50, 15)),
    ...(await media(target)),
    { name: 'memory afterwards', value: residentMiB(target.pids[0]!), unit: 'MiB' },
  ]
}

function onGiven(): Promise<Figure[]> {
  const pids = (process.env.HOMESERVER_PIDS ?? '').split(',').map(Number)
  return scenariosOn({ url: process.env.HOMESERVER_URL!, pids })
}

function printTable(columns: Record<string, Figure[]>): void {
  const names = Object.keys(columns)
  console.log(`| | ${names.join(' | ')} |\n|---|${names.map(() => '---:').join('|')}|`)
  for (const [row, { name, unit }] of columns[names[0]!]!.entries()) {
    const cells = names.map((column) => columns[column]![row]!.value.toPrecision(3))
    console.log(`| ${name} (${unit}) | ${cells.join(' | ')} |`)
  }
}

const wanted = process.argv.slice(2)
const columns: Record<string, Figure[]> = {}
if (process.env.HOMESERVER_URL) columns.given = await onGiven()
else {
  if (wanted.length === 0 || wanted.includes('pglite')) columns.PGlite = await onPglite(scenariosOn)
  if (wanted.length === 0 || wanted.includes('postgresql')) columns.PostgreSQL = await onPostgresql(scenariosOn)
}
printTable(columns)
process.exit(0)
