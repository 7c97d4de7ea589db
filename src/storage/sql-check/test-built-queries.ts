import { stripTypeScriptTypes } from 'node:module'
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import { type Expression, type Node, SyntaxKind } from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import type { Checker, Type } from 'typescript/unstable/sync'
import { UnknownText } from './test-sql-fragments.ts'
import type { TypedSources } from './test-typescript.ts'

type Compilable = { compile(): { sql: string } }

const BUILDERS = /^(Select|Insert|Update|Delete)QueryBuilder$/
/** A placeholder for a value that the code passes. */
const VALUE = 'a value'

const kysely = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})

/** Whether a value is a query of kysely's builder. */
export function isBuiltQuery(type: Type | undefined): boolean {
  return BUILDERS.test(type?.getSymbol()?.name ?? '')
}

/** Returns the text of a query of kysely's builder, by evaluating its calls. Throws `UnknownText`. */
export function textOfQuery(sources: TypedSources, query: Expression): string {
  try {
    return (replay(sources, query) as Compilable).compile().sql
  } catch (error) {
    if (error instanceof UnknownText) throw error
    throw new UnknownText(query, `cannot build the query: ${(error as Error).message}`)
  }
}

function replay(sources: TypedSources, node: Expression): unknown {
  if (sources.checker.getTypeAtLocation(node)?.getSymbol()?.name === 'Kysely') return kysely
  if (!is.isCallExpression(node) || !is.isPropertyAccessExpression(node.expression)) {
    throw new UnknownText(node, `cannot read a query of ${SyntaxKind[node.kind]}`)
  }
  const object = replay(sources, node.expression.expression) as Record<string, (...values: unknown[]) => unknown>
  return object[node.expression.name.getText()]!(
    ...node.arguments.map((argument) => valueOfArgument(sources, argument)),
  )
}

function valueOfArgument(sources: TypedSources, node: Expression): unknown {
  if (is.isStringLiteral(node)) return node.text
  if (node.kind === SyntaxKind.NullKeyword) return null
  if (is.isArrayLiteralExpression(node)) return node.elements.map((element) => valueOfArgument(sources, element))
  if (is.isArrowFunction(node)) return functionOf(node)
  if (is.isObjectLiteralExpression(node))
    return Object.fromEntries(node.properties.map((property) => memberOf(sources, property)))
  return valueOfType(sources.checker, sources.checker.getTypeAtLocation(node))
}

/** A row with its columns; of several kinds of rows, the first one. */
function valueOfType(checker: Checker, type: Type | undefined): unknown {
  if (!type || isPrimitive(checker, type) || checker.isArrayLikeType(type)) return VALUE
  if (type.isUnionType()) return valueOfType(checker, type.getTypes()[0])
  return Object.fromEntries(checker.getPropertiesOfType(type).map(({ name }) => [name, VALUE]))
}

function memberOf(sources: TypedSources, member: Node): [string, unknown] {
  if (is.isShorthandPropertyAssignment(member)) return [member.name.getText(), VALUE]
  if (is.isPropertyAssignment(member) && is.isIdentifier(member.name))
    return [member.name.getText(), valueOfArgument(sources, member.initializer)]
  throw new UnknownText(member, `${member.getText()} is not known before it runs`)
}

/** A branded string is an intersection too. */
function isPrimitive(checker: Checker, type: Type): boolean {
  const some = checker.getNonNullableType(type) ?? type
  const primitives = [checker.getStringType(), checker.getNumberType(), checker.getBooleanType()]
  return primitives.some((primitive) => checker.isTypeAssignableTo(some, primitive))
}

/** A function that uses only its arguments. */
function functionOf(node: Node): unknown {
  const text = stripTypeScriptTypes(`(${node.getText()})`)
  return new Function(`return ${text}`)()
}
