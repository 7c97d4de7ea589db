// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the examples are source with templates in it
import type { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestPglite } from '../../testing/test-database.ts'
import { collectStatements, type Statement, type Statements } from './test-sql-statements.ts'
import { openSources, type TypedSources } from './test-typescript.ts'
import { type KindOfOid, kindOfType, loadKindsOfOids } from './test-value-kinds.ts'

/** Statements whose text is not known before they run. */
const UNKNOWN = [
  // The migrations, which create the schema.
  /storage\/.*migrate\.ts:\d+: readFileSync\(.*\) is not known/,
  // `vacuum` and `analyze` of tables that the catalogue names.
  /storage\/.*embedded-upkeep\.ts:\d+: name is not known/,
  // Tables and columns of a backup, which the catalogue names.
  /storage\/backup\/.*\.ts:\d+: (.* is not known|nothing gives table: string a value)/,
  // The column of a room's summary for an event type.
  /storage\/.*room-summary\.ts:\d+: \[source\.field\]: .* is not known/,
  // Rows of any table are inserted and counted; the tests of the import do it for each.
  /storage\/import\/(insert-rows|imported-state)\.ts:\d+: nothing gives table/,
]

/** Small tables, on which sequential scans are allowed. */
const SMALL_TABLES = [
  // one row
  ...['federation_progress', 'push_progress', 'search_progress', 'figure_upkeep', 'stream_positions'],
  // the application services in the configuration
  'appservices',
  // a thousand rows
  'alerts',
  // the keys and the processes of this server
  ...['own_keys', 'presence_processes'],
  // one import and its steps
  ...['imports', 'import_steps'],
  // rooms that are being joined, or have events in the inbox
  ...['federation_inbox_rooms', 'partial_rooms', 'room_joins'],
  // rows that expire soon
  ...['openid_tokens', 'rate_limits', 'registration_nonces', 'rendezvous_sessions'],
]

/** Statements with sequential scans of large tables, which run rarely. */
const WITHOUT_INDEX = [
  // Lists for administrators, which sort by any column, or count.
  /rooms\/reports\.ts:\d+: reports$/,
  /federation\/destination-lists\.ts:\d+: federation_destinations$/,
  /rooms\/administered-rooms\.ts:\d+: rooms$/,
  /users\/user-lists\.ts:\d+: (users|listed_users)$/,
  /mas\/[a-z-]+\.ts:\d+: (users|registration_tokens|upstream_links|oauth_clients|oauth_sessions)$/,
  // Figures of the server as a whole, once a minute and once in ten.
  /figures\/server-figures\.ts:\d+: (federation_destinations|media_files|devices)$/,
  // Run when a process starts.
  /users\/erasures\.ts:\d+: users$/,
  /rooms\/aliases\.ts:\d+: room_aliases$/,
  // The position of the slowest pusher.
  /push\/push-queue\.ts:\d+: pushers$/,
  // Run once after a restore.
  /backup\/after-restore\.ts:\d+: (fallback_keys|refresh_tokens|remote_device_lists|key_backups)$/,
  /backup\/media-files\.ts:\d+: media_files$/,
]

let pglite: PGlite
let kindOf: KindOfOid
let server: Statements & { faults: string[] }

beforeAll(async () => {
  pglite = await createTestPglite()
  kindOf = await loadKindsOfOids(pglite)
  server = await check()
})

afterAll(() => pglite.close())

test('PostgreSQL accepts each statement that the code can send', () => {
  const { statements, unknown, unused, faults } = server
  expect(statements.length).toBeGreaterThan(500)
  expect(faults).toEqual([])
  expect(unused).toEqual([])
  expectOnly(unknown, UNKNOWN)
})

test('each statement finds rows of large tables by an index', async () => {
  await pglite.exec('set plan_cache_mode = force_generic_plan; set enable_seqscan = off')
  const reads: string[] = []
  for (const statement of server.statements) reads.push(...(await readWhole(statement)))
  expect(await readWhole({ place: 'a.ts:1', text: 'select 1 from users where language = $1' })).toEqual([
    'a.ts:1: users',
  ])
  const large = reads.filter((read) => !SMALL_TABLES.some((table) => read.endsWith(`: ${table}`)))
  expectOnly(large, WITHOUT_INDEX)
  expect(SMALL_TABLES.filter((table) => !reads.some((read) => read.endsWith(`: ${table}`)))).toEqual([])
})

/** Expects that each line matches one of the patterns, and that each pattern matches a line. */
function expectOnly(lines: readonly string[], patterns: readonly RegExp[]): void {
  expect(lines.filter((line) => !patterns.some((pattern) => pattern.test(line)))).toEqual([])
  expect(patterns.filter((pattern) => !lines.some((line) => pattern.test(line)))).toEqual([])
}

type Plan = { 'Node Type': string; 'Relation Name'?: string; Plans?: Plan[] }

/** Returns the tables that a statement scans sequentially, for any values. */
async function readWhole({ place, text }: Pick<Statement, 'place' | 'text'>): Promise<string[]> {
  if (!/^\s*(select|with|insert|update|delete)\b/.test(text)) return []
  await pglite.exec(`prepare planned as ${text}`)
  const count = new Set(text.match(/\$\d+/g)).size
  const values = count === 0 ? '' : `(${Array.from({ length: count }, () => 'null').join()})`
  const [answer] = await pglite.exec(`explain (format json) execute planned${values}`)
  await pglite.exec('deallocate planned')
  const [{ Plan: root }] = (answer!.rows[0] as { 'QUERY PLAN': [{ Plan: Plan }] })['QUERY PLAN']
  return scannedIn(root).map((table) => `${place}: ${table}`)
}

function scannedIn(plan: Plan): string[] {
  const own = plan['Node Type'] === 'Seq Scan' ? [plan['Relation Name']!] : []
  return [...own, ...(plan.Plans ?? []).flatMap(scannedIn)]
}

/** Checks the statements of the server, or of files that exist only in memory. */
async function check(planted?: Record<string, string>): Promise<Statements & { faults: string[] }> {
  const sources = openSources(planted)
  try {
    const collected = collectStatements(sources)
    const faults: string[] = []
    for (const statement of collected.statements) faults.push(...(await faultsOf(sources, statement)))
    return { ...collected, faults }
  } finally {
    sources.close()
  }
}

/** Prepares a statement; compares its parameters and its result with the types in the code. */
async function faultsOf({ checker }: TypedSources, statement: Statement): Promise<string[]> {
  const { place, text, values, row } = statement
  try {
    const { queryParams, resultFields } = await pglite.describeQuery(text)
    const given = values.flatMap((type, at) =>
      compare(`$${at + 1}`, kindOf(queryParams[at]!.dataTypeID), kindOfType(checker, type)),
    )
    const columns = new Map(resultFields.map(({ name, dataTypeID }) => [name, kindOf(dataTypeID)]))
    const properties = row ? checker.getPropertiesOfType(row) : []
    const types = checker.getTypeOfSymbol(properties)
    const returned = properties.flatMap(({ name }, at) =>
      compare(name, columns.get(name), kindOfType(checker, types[at]!)),
    )
    return [...given, ...returned].map((fault) => `${place}: ${fault}`)
  } catch (error) {
    return [`${place}: ${(error as Error).message} in: ${text}`]
  }
}

function compare(name: string, sql: string | undefined, code: string): string[] {
  if (sql === undefined) return [`the result has no column ${name}`]
  return sql === code ? [] : [`${name} is ${sql} in the database and ${code} in the code`]
}

describe('the test finds', () => {
  const examples: [what: string, code: string, fault: RegExp][] = [
    ['a wrong column', 'sql`select user_idea from users`', /column "user_idea" does not exist/],
    ['a wrong table', 'sql`update userz set locked = true`', /relation "userz" does not exist/],
    ['types that do not compare', "sql`select 1 from users where locked = 'x'::text`", /operator does not exist/],
    ['a value of another type', 'sql`select 1 from users where user_id = ${number}`', /\$1 is string .* number in/],
    ['a list of another type', 'sql`select ${[number]}::text[]`', /\$1 is string\[\] .* number\[\] in/],
    ['a column of another type', 'sql<{ created_ts: string }>`select created_ts from users`', /created_ts is number/],
    ['a column that is not read', 'sql<{ locked: boolean }>`select user_id from users`', /has no column locked/],
    ['a fault in a condition', 'sql`select 1 from users ${flag ? sql`` : sql`where wrong`}`', /"wrong" does not exist/],
    ['a fault in a fragment', 'sql`select ${COLUMNS} from users`', /column "colour" does not exist/],
    ['a fault in a function', 'sql`select 1 from users where ${isOf(text)}`', /column "owner" does not exist/],
    ['a fault in a branch', 'sql`select 1 from users ${filter(flag)}`', /column "later" does not exist/],
    ['a fault in an argument', 'find(sql`shape = ${text}`); sql`select 1`', /column "shape" does not exist/],
    ['a fault in a list', 'sql`select ${sql.join([sql`1`, ...(flag ? [sql`tall`] : [])])}`', /"tall" does not exist/],
    ['a fault in a name', "sql`select ${sql.ref(flag ? 'user_id' : 'height')} from users`", /"height" does not exist/],
    ['a fault in a built query', "built.deleteFrom('users').where('height', '=', 1)", /"height" does not exist/],
    ['a built query of an unknown table', 'built.selectFrom(text)', /relation "a value" does not exist/],
    ['unknown text', 'sql`select ${sql.raw(text)}`', /text is not known before it runs/],
    ['an unused fragment', 'console.log(sql`and nowhere`); sql`select 1`', /: sql`and nowhere`/],
  ]
  let found: string[]

  beforeAll(async () => {
    const files = examples.map(([, code], place) => [`src/storage/planted-${place}.ts`, PLANTED.replace('CODE', code)])
    const { faults, unknown, unused } = await check(Object.fromEntries(files))
    found = [...faults, ...unknown, ...unused]
  })

  test.each(examples.map((example, place) => [...example, place] as const))('%s: %s', (_what, _code, fault, place) => {
    const own = found.filter((line) => line.startsWith(`src/storage/planted-${place}.ts:`))
    expect(own.filter((line) => fault.test(line))).toHaveLength(1)
  })
})

const PLANTED = `
  import { type Kysely, type RawBuilder, sql } from 'kysely'
  declare const [db, built, text, number, flag]: [Kysely<unknown>, Kysely<any>, string, number, boolean]
  const COLUMNS = sql\`user_id, colour\`
  const isOf = (owner: string) => sql\`owner = \${owner}\`
  function filter(flag: boolean) {
    if (flag) return sql\`where locked\`
    return sql\`where later\`
  }
  function find(which: RawBuilder<unknown>) {
    return sql\`select 1 from users where \${which}\`.execute(db)
  }
  CODE.execute(db)
`
