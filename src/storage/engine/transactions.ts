import {
  CompiledQuery,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type DialectAdapter,
  Kysely,
  PostgresDialect,
  type PostgresPool,
  type QueryCompiler,
  type QueryResult,
} from 'kysely'
import type { Tables } from '../schema/tables.ts'

/** Statements on a pool, each on whichever connection is free, and transactions. */
export type Statements = {
  sql: Kysely<Tables>
  /**
   * Runs `work` in a transaction and commits; `last` begins its last statement, which is sent together with the commit. Within the transaction each
   * statement is sent when it is begun, in this order, whether those before have been answered or not: see `allOf`. `isLazy`: the commit does not wait
   * until it is on disk.
   */
  transact<Result, Last>(transaction: {
    isLazy: boolean
    work: (sql: Kysely<Tables>) => Promise<Result>
    last: (sql: Kysely<Tables>) => Promise<Last>
  }): Promise<[Result, Last]>
}

const BEGIN = CompiledQuery.raw('begin')
const BEGIN_LAZILY = CompiledQuery.raw('begin; set local synchronous_commit = off')

/** Kysely on a pool of PostgreSQL's driver. */
export function onPool(pool: PostgresPool): Statements {
  const dialect = new PostgresDialect({ pool })
  const driver = dialect.createDriver()
  const sql = new Kysely<Tables>({
    dialect: {
      createAdapter: () => dialect.createAdapter(),
      createDriver: () => driver,
      createIntrospector: (db) => dialect.createIntrospector(db),
      createQueryCompiler: () => dialect.createQueryCompiler(),
    },
  })
  const [compiler, adapter] = [dialect.createQueryCompiler(), dialect.createAdapter()]

  function boundTo(connection: DatabaseConnection): Kysely<Tables> {
    const executor = new PromptExecutor(compiler, adapter, connection)
    return new Kysely<Tables>({ config: { dialect }, dialect, driver: driver as never, executor })
  }

  return {
    sql,
    transact: ({ isLazy, work, last }) =>
      sql.getExecutor().provideConnection(async (connection) => {
        const begun = connection.executeQuery(isLazy ? BEGIN_LAZILY : BEGIN)
        // Handled below, or it is what the first statement fails by too.
        begun.catch(() => {})
        const bound = boundTo(connection)
        const result = await work(bound).catch(async (error: unknown) => {
          await driver.rollbackTransaction(connection).catch(() => {})
          throw error
        })
        const [, lastResult] = await allOf([begun, last(bound), driver.commitTransaction(connection)])
        return [result, lastResult]
      }),
  }
}

/** Hands each statement to the connection in the turn in which it is executed, so that they are sent in the order in which they stand in the code. */
class PromptExecutor extends DefaultQueryExecutor {
  readonly #connection: DatabaseConnection

  constructor(compiler: QueryCompiler, adapter: DialectAdapter, connection: DatabaseConnection) {
    super(compiler, adapter, { provideConnection: (consumer) => consumer(connection) })
    this.#connection = connection
  }

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return this.#connection.executeQuery<Row>(query)
  }
}

/**
 * Waits for statements of a transaction that were sent together, none waiting for another's answer; throws what the first that failed did, for those
 * after it failed for that alone. Takes what begins with sending: of an async function only what comes before its first await is sent in order.
 */
export async function allOf<const Sent extends readonly unknown[]>(
  sent: Sent,
): Promise<{ -readonly [Place in keyof Sent]: Awaited<Sent[Place]> }> {
  const answers = await Promise.allSettled(sent)
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
  return answers.map((answer) => (answer as PromiseFulfilledResult<unknown>).value) as never
}
