// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the examples are source with templates in it
import type { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestPglite } from '../../testing/test-database.ts'
import { collectStatements, type Statement } from './test-sql-statements.ts'
import { openSources, type TypedSources } from './test-typescript.ts'
import { type KindOfOid, kindOfType, loadKindsOfOids } from './test-value-kinds.ts'

/** Statements of which the text is not known before they run. */
const UNKNOWN = [
  // The migrations themselves, which make the schema.
  /storage\/.*migrate\.ts:\d+: readFileSync\(.*\) is not known/,
  // `vacuum` and `analyze` of tables that the catalogue names.
  /storage\/.*embedded-upkeep\.ts:\d+: name is not known/,
]

let pglite: PGlite
let kindOf: KindOfOid

beforeAll(async () => {
  pglite = await createTestPglite()
  kindOf = await loadKindsOfOids(pglite)
})

afterAll(() => pglite.close())

test('PostgreSQL accepts each statement that the code can send', async () => {
  const { statements, unknown, unused, faults } = await check()
  expect(statements.length).toBeGreaterThan(500)
  expect(faults).toEqual([])
  expect(unused).toEqual([])
  expect(unknown.filter((place) => !UNKNOWN.some((known) => known.test(place)))).toEqual([])
  expect(UNKNOWN.filter((known) => !unknown.some((place) => known.test(place)))).toEqual([])
})

/** Checks the statements of the server, or those of files that exist only in memory. */
async function check(planted?: Record<string, string>) {
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

/** Prepares a statement; compares the values that it is given, and what it returns, with the types in the code. */
async function faultsOf({ checker }: TypedSources, statement: Statement): Promise<string[]> {
  const { place, text, values, row } = statement
  try {
    const { queryParams, resultFields } = await pglite.describeQuery(text)
    const given = queryParams.flatMap(({ dataTypeID }, at) =>
      compare(`$${at + 1}`, kindOf(dataTypeID), kindOfType(checker, values[at]!)),
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

/** A kind of which the code knows nothing passes: what is read is what the code says it is. */
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
  declare const [db, text, number, flag]: [Kysely<unknown>, string, number, boolean]
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
