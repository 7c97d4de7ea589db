import type { Expression, Node } from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import type { Type } from 'typescript/unstable/sync'
import { isBuiltQuery, textOfQuery } from './test-built-queries.ts'
import {
  isFragment,
  isSqlTemplate,
  keyOf,
  NO_ARGUMENTS,
  nodesIn,
  type Piece,
  readFragment,
  UnknownText,
} from './test-sql-fragments.ts'
import type { TypedSources } from './test-typescript.ts'

/** A statement that the code can send. */
export type Statement = {
  /** File and line. */
  place: string
  /** `$1` and so on are parameters. */
  text: string
  /** The types of the values. Unknown for queries of kysely's builder, which the types of the tables check. */
  values: Type[]
  /** The type that the code gives to each row of the result. */
  row: Type | undefined
}

export type Statements = {
  statements: Statement[]
  /** Statements whose text is unknown before the code runs. */
  unknown: string[]
  /** Templates that are part of no statement. */
  unused: string[]
}

/** The chosen alternative of each kind; `others`: the default. */
type Choices = { of: ReadonlyMap<string, number>; others: 'first' | 'last' }

/**
 * Builds each statement that the code executes out of its `sql` template and the fragments in it, or with kysely's
 * builder. Where the code decides between fragments, each alternative gives a statement, but not each combination of
 * alternatives: only all the first ones, all the last ones, and each one among first ones.
 */
export function collectStatements(sources: TypedSources): Statements {
  const read = new Set<string>()
  const unknown: string[] = []
  const executed = [...sources.files.values()].flatMap((file) => executedIn(file, sources))
  const statements = executed.flatMap((fragment) => {
    try {
      return statementsOf(sources, fragment, read)
    } catch (error) {
      if (!(error instanceof UnknownText)) throw error
      unknown.push(`${placeOf(sources, error.node)}: ${error.message}`)
      return []
    }
  })
  const templates = [...sources.files.values()].flatMap((file) => nodesIn(file).filter(isSqlTemplate))
  const unused = templates.filter((template) => !read.has(keyOf(template)))
  return {
    statements,
    unknown,
    unused: unused.map((template) => `${placeOf(sources, template)}: ${template.getText()}`),
  }
}

function placeOf({ files }: TypedSources, node: Node): string {
  const file = node.getSourceFile()
  const line = file.text.slice(0, node.getStart(file)).split('\n').length
  return `${[...files].find(([, known]) => known === file)?.[0]}:${line}`
}

/** The fragments and built queries on which `.execute(…)`, or a method like it, is called. */
function executedIn(file: Node, { checker }: TypedSources): Expression[] {
  const objects = nodesIn(file)
    .filter(is.isCallExpression)
    .map(({ expression }) => expression)
    .filter(is.isPropertyAccessExpression)
    .filter(({ name }) => /^execute(TakeFirst(OrThrow)?)?$/.test(name.getText()))
    .map(({ expression }) => expression)
  const types = checker.getTypeAtLocation(objects)
  return objects.filter((_, place) => isFragment(types[place]) || isBuiltQuery(types[place]))
}

function statementsOf(sources: TypedSources, fragment: Expression, read: Set<string>): Statement[] {
  const type = sources.checker.getTypeAtLocation(fragment)
  const row = type?.isTypeReference() ? sources.checker.getTypeArguments(type)[0] : undefined
  const place = placeOf(sources, fragment)
  if (isBuiltQuery(type)) return [{ place, text: textOfQuery(sources, fragment), values: [], row: undefined }]
  const found = new Map<string, Statement>()
  const seen = new Set<string>()
  const waiting: Choices[] = [
    { of: new Map(), others: 'first' },
    { of: new Map(), others: 'last' },
  ]
  for (let choices = waiting.shift(); choices; choices = waiting.shift()) {
    const { of, others } = choices
    const choose = (key: string, count: number) => {
      if (!seen.has(key)) {
        seen.add(key)
        for (let other = 0; other < count; other++) waiting.push({ of: new Map([...of, [key, other]]), others })
      }
      return of.get(key) ?? (others === 'first' ? 0 : count - 1)
    }
    const statement = { place, row, ...assemble(readFragment({ sources, choose, read }, fragment, NO_ARGUMENTS)) }
    found.set(statement.text, statement)
  }
  return [...found.values()]
}

function assemble(pieces: readonly Piece[]): Pick<Statement, 'text' | 'values'> {
  const values = pieces.filter((piece) => typeof piece !== 'string')
  let count = 0
  return { text: pieces.map((piece) => (typeof piece === 'string' ? piece : `$${++count}`)).join(''), values }
}
