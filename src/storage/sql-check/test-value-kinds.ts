import type { PGlite } from '@electric-sql/pglite'
import type { Checker, Type } from 'typescript/unstable/sync'

/** The JavaScript kind of a value: `string`, `number`, `boolean`, `bytes`, or an array of these, as in `number[]`. */
type Kind = string

/** Says what the driver makes of a PostgreSQL type, by its OID. */
export type KindOfOid = (oid: number) => Kind

/** PostgreSQL's categories of types: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE */
const CATEGORIES: Readonly<Record<string, Kind>> = { B: 'boolean', N: 'number', S: 'string' }
/** `numeric` arrives as text, for it may be larger than a number can be; `json` as what it says. */
const OTHERS: Readonly<Record<string, Kind>> = { bytea: 'bytes', numeric: 'string' }

export async function loadKindsOfOids(pglite: PGlite): Promise<KindOfOid> {
  const { rows } = await pglite.query<{ oid: number; typname: string; typcategory: string; typelem: number }>(
    'select oid, typname, typcategory, typelem from pg_type',
  )
  const types = new Map(rows.map((row) => [row.oid, row]))
  return function kindOf(oid): Kind {
    const type = types.get(oid)
    if (!type) return `type ${oid}`
    if (type.typcategory === 'A') return `${kindOf(type.typelem)}[]`
    return OTHERS[type.typname] ?? CATEGORIES[type.typcategory] ?? type.typname
  }
}

const TS_PRIMITIVES = /^(string|number|boolean)$/

/**
 * Returns the kind of a TypeScript type, without regard to null and undefined. Branded strings are strings; a union of
 * kinds is in no kind.
 */
export function kindOfType(checker: Checker, type: Type): Kind {
  const some = checker.getNonNullableType(type) ?? type
  const [generated] = some.getAliasSymbol()?.name === 'Generated' ? some.getAliasTypeArguments() : []
  if (generated) return kindOfType(checker, generated)
  if (checker.isArrayLikeType(some) && some.isTypeReference()) {
    const [element] = checker.getTypeArguments(some)
    return element ? `${kindOfType(checker, element)}[]` : 'array'
  }
  if (some.getSymbol()?.name === 'Uint8Array') return 'bytes'
  const primitives = [checker.getStringType(), checker.getNumberType(), checker.getBooleanType()]
  const found = primitives.find((primitive) => checker.isTypeAssignableTo(some, primitive))
  const name = checker.typeToString(found ?? some)
  return TS_PRIMITIVES.test(name) ? name : `TypeScript's ${name}`
}

/** Whether null is one of a type's values. */
export function takesNull(checker: Checker, type: Type): boolean {
  return checker.isTypeAssignableTo(checker.getNullType(), type)
}
