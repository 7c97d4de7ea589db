import { parseArgs } from 'node:util'
import { proportionalMiB } from './cpu-time.ts'
import type { Target } from './measure.ts'
import { reading } from './reading.ts'
import { delivery, type Figure, fanOut, media, roomSizes, sends, states } from './scenarios.ts'
import { type Server, startByCommand, startOnPglite, startOnPostgresql, startSynapseOnPostgresql } from './servers.ts'

/**
 * Measures homeservers side by side by the same requests, and prints a table: `npm run bench` measures Hearth on both
 * databases, `npm run bench -- postgresql` on one. `--against synapse` adds Synapse on PostgreSQL, and `--against
 * COMMAND --url URL` a homeserver that a command starts; it needs open registration without rate limits. Each part of
 * the measurement runs on one server after the other, so that what else the machine does affects all. The last columns
 * are ratios to the first server.
 */
const PARTS: ((target: Target) => Promise<Figure[]>)[] = [
  async (target) => [memory('memory at start', target)],
  (target) => sends(target, 16, 2000),
  (target) => sends(target, 1, 2000),
  (target) => states(target, 1000),
  (target) => delivery(target, 100),
  (target) => fanOut(target, 100, 10),
  (target) => roomSizes(target, { few: 10, many: 1000, messages: 2000 }),
  (target) => reading(target, 50, 15),
  media,
  async (target) => [memory('memory afterwards', target)],
]

function memory(name: string, { pids }: Target): Figure {
  return { name, value: proportionalMiB(pids), unit: 'MiB' }
}

function starts(): Map<string, () => Promise<Server>> {
  const { values, positionals } = parseArgs({
    options: { against: { type: 'string' }, url: { type: 'string' } },
    allowPositionals: true,
  })
  const unknown = positionals.find((name) => name !== 'pglite' && name !== 'postgresql')
  if (unknown) throw new Error(`"${unknown}" is neither pglite nor postgresql`)
  // Synapse and Hearth are compared on the same database.
  const asked = positionals.length > 0 ? positionals : values.against ? ['postgresql'] : ['pglite', 'postgresql']
  const found = new Map<string, () => Promise<Server>>()
  if (asked.includes('postgresql')) found.set('Hearth, PostgreSQL', startOnPostgresql)
  if (asked.includes('pglite')) found.set('Hearth, embedded', startOnPglite)
  if (values.against === 'synapse') found.set('Synapse', startSynapseOnPostgresql)
  else if (values.against !== undefined) {
    const { against, url } = values
    if (!url) throw new Error('--against COMMAND needs --url, the URL at which the server responds to clients')
    found.set('the other', () => startByCommand(against, url.replace(/\/$/, '')))
  }
  return found
}

async function measureAll(servers: ReadonlyMap<string, Server>): Promise<Map<string, Figure[]>> {
  const columns = new Map([...servers.keys()].map((name): [string, Figure[]] => [name, []]))
  for (const [number, part] of PARTS.entries())
    for (const [name, server] of servers) {
      console.error(`part ${number + 1} of ${PARTS.length}: ${name}`)
      columns.get(name)!.push(...(await part(server)))
    }
  return columns
}

function printTable(columns: ReadonlyMap<string, Figure[]>): void {
  const [first, ...others] = [...columns.keys()] as [string, ...string[]]
  const heads = [first, ...others, ...others.map((name) => `${name} ÷ ${first}`)]
  console.log(`| | ${heads.join(' | ')} |\n|---|${heads.map(() => '---:').join('|')}|`)
  for (const [row, { name, unit, value }] of columns.get(first)!.entries()) {
    const values = others.map((other) => columns.get(other)![row]!.value)
    const cells = [value, ...values].map((each) => each.toPrecision(3))
    const ratios = values.map((each) => (each / value).toPrecision(2))
    console.log(`| ${name} (${unit}) | ${[...cells, ...ratios].join(' | ')} |`)
  }
}

const servers = new Map<string, Server>()
try {
  for (const [name, start] of starts()) servers.set(name, await start())
  printTable(await measureAll(servers))
} catch (error) {
  process.exitCode = 1
  console.error((error as Error).message)
} finally {
  for (const server of servers.values()) await server.stop()
}
process.exit()
