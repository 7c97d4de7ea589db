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

/** Statements on a pool, each on any free connection, and transactions. */
export type Statements = {
  sql: Kysely<Tables>
  /**
   * Runs `work` in a transaction and commits. `last` starts its last statements, which are sent together with the
   * commit; later ones fail. `mayLack`: whether one of them may fail before it is sent; then nothing is committed. Within
   * the transaction statements are pipelined: each is sent when it starts, in this order; see `allOf`. `isLazy`: the
   * commit does not wait for the disk.
   */
  transact<Result, Last>(transaction: {
    isLazy: boolean
    work: (sql: Kysely<Tables>) => Promise<Result>
    last: (sql: Kysely<Tables>) => Promise<Last>
    mayLack: () => boolean
  }): Promise<[Result, Last]>
}

const BEGIN = CompiledQuery.raw('begin')
const BEGIN_LAZILY = CompiledQuery.raw('begin; set local synchronous_commit = off')

/** Creates kysely on a pool of the `pg` driver. */
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

  function boundTo(connection: DatabaseConnection) {
    const executor = new PromptExecutor(compiler, adapter, connection)
    const bound = new Kysely<Tables>({ config: { dialect }, dialect, driver: driver as never, executor })
    return { bound, end: () => executor.end() }
  }

  return {
    sql,
    transact: ({ isLazy, work, last, mayLack }) =>
      sql.getExecutor().provideConnection(async (connection) => {
        const begun = connection.executeQuery(isLazy ? BEGIN_LAZILY : BEGIN)
        // Handled below; otherwise the first statement fails with the same error.
        begun.catch(() => {})
        const { bound, end } = boundTo(connection)
        const undo = async (error: unknown) => {
          const undone = driver.rollbackTransaction(connection).catch(() => {})
          end()
          await undone
          throw error
        }
        const result = await work(bound).catch(undo)
        const commit = () => {
          const committed = driver.commitTransaction(connection)
          end()
          return committed
        }
        const start = () => last(bound)
        const [, lastResult] = await (mayLack()
          ? commitIfSent({ begun, start, commit, undo })
          : allOf([begun, start(), commit()]))
        return [result, lastResult]
      }),
  }
}

type Ending<Last> = {
  begun: Promise<unknown>
  start: () => Promise<Last>
  commit: () => Promise<unknown>
  undo: (error: unknown) => Promise<never>
}

/** Starts the last statements, and commits unless one of them has failed in this turn: not all were sent then. */
function commitIfSent<Last>({ begun, start, commit, undo }: Ending<Last>): Promise<readonly [unknown, Last, unknown]> {
  return new Promise((resolve) => {
    let failure: { error: unknown } | undefined
    // Requested before the statements: the tick that they request ends the write in which the commit is to go.
    process.nextTick(() => resolve(failure ? undo(failure.error) : allOf([begun, last, commit()])))
    const last = start()
    last.catch((error: unknown) => {
      failure = { error }
    })
  })
}

/**
 * Passes each statement to the connection in the turn in which it is executed, so that statements are sent in the order
 * of the code.
 */
class PromptExecutor extends DefaultQueryExecutor {
  readonly #connection: DatabaseConnection
  #hasEnded = false

  constructor(compiler: QueryCompiler, adapter: DialectAdapter, connection: DatabaseConnection) {
    super(compiler, adapter, { provideConnection: (consumer) => consumer(connection) })
    this.#connection = connection
  }

  /** Refuses further statements: the connection may serve another transaction. */
  end(): void {
    this.#hasEnded = true
  }

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#hasEnded)
      return Promise.reject(new Error('the transaction has ended: the statement was started too late'))
    return this.#connection.executeQuery<Row>(query)
  }
}

/**
 * Waits for statements of a transaction that were pipelined. Throws the error of the first that failed, because later
 * ones fail only as a consequence; immediately, if one failed before it was sent. Each must start by sending: in an
 * async function, only the part before its first await is sent in order.
 */
export async function allOf<const Sent extends readonly unknown[]>(
  sent: Sent,
): Promise<{ -readonly [Place in keyof Sent]: Awaited<Sent[Place]> }> {
  const answers = await Promise.race([Promise.allSettled(sent), unsentOf(sent)])
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
  return answers.map((answer) => (answer as PromiseFulfilledResult<unknown>).value) as never
}

/** Rejects if one fails before any answer can be here; otherwise never settles. */
function unsentOf(sent: readonly unknown[]): Promise<never> {
  return new Promise((_, reject) => {
    let isTurnOver = false
    process.nextTick(() => {
      isTurnOver = true
    })
    const onFailure = (error: unknown) => {
      if (!isTurnOver) reject(error)
    }
    for (const statement of sent) if (statement instanceof Promise) statement.catch(onFailure)
  })
}
