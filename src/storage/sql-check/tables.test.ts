import { expect, test } from 'vitest'
import { createTestPglite } from '../../testing/test-database.ts'
import { openSources } from './test-typescript.ts'
import { kindOfType, loadKindsOfOids, takesNull } from './test-value-kinds.ts'

test('the types of the tables are those of the database', async () => {
  expect(columnsOfCode()).toEqual(await columnsOfDatabase())
})

test('the comparison sees tables, columns, types and nullability', () => {
  const planted = `
    import type { Generated } from 'kysely'
    export type Tables = Things & { others: { id: Generated<number> } }
    type Things = { things: { name: Name; size: number | null; parts: readonly Name[]; kind: 'a' | 'b'; made: Date } }
    type Name = string & { brand: 'name' }`
  expect(columnsOfCode({ 'src/planted.ts': planted })).toEqual([
    'others.id: number',
    'things.kind: string',
    "things.made: TypeScript's Date",
    'things.name: string',
    'things.parts: string[]',
    'things.size: number or null',
  ])
})

/** Lists the columns of the type `Tables`, of the server or of files that exist only in memory. */
function columnsOfCode(planted?: Record<string, string>): string[] {
  const sources = openSources(planted)
  try {
    const { checker } = sources
    const declared = [...sources.files.values()]
      .flatMap(({ statements }) => [...statements])
      .find((node) => node.getText().startsWith('export type Tables ='))!
    const tables = checker.getPropertiesOfType(checker.getTypeAtLocation(declared)!)
    const lines = tables.flatMap((table) =>
      checker.getPropertiesOfType(checker.getTypeOfSymbol(table)!).map((column) => {
        const type = checker.getTypeOfSymbol(column)!
        return lineOf(`${table.name}.${column.name}`, kindOfType(checker, type), takesNull(checker, type))
      }),
    )
    return lines.sort()
  } finally {
    sources.close()
  }
}

async function columnsOfDatabase(): Promise<string[]> {
  const pglite = await createTestPglite()
  try {
    const kindOf = await loadKindsOfOids(pglite)
    const { rows } = await pglite.query<{ name: string; type: number; nullable: boolean }>(`
      select relname || '.' || attname as name, atttypid as type, not attnotnull as nullable
      from pg_attribute join pg_class on pg_class.oid = attrelid
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and attnum > 0 and not attisdropped
        and not starts_with(relname, 'kysely_')`)
    return rows.map(({ name, type, nullable }) => lineOf(name, kindOf(type), nullable)).sort()
  } finally {
    await pglite.close()
  }
}

function lineOf(column: string, kind: string, isNullable: boolean): string {
  return `${column}: ${kind}${isNullable ? ' or null' : ''}`
}
