import { startHearth } from '../spec-tests/harness/hearth.ts'
import { startPostgres } from '../testing/postgres.ts'
import type { Target } from './measure.ts'

/** Measures a Hearth of its own on the embedded database. */
export async function onPglite<Result>(measureOn: (target: Target) => Promise<Result>): Promise<Result> {
  const hearth = await startHearth()
  try {
    return await measureOn({ url: hearth.url, pids: [hearth.pid] })
  } finally {
    await hearth.dispose()
  }
}

/** Measures a Hearth of its own on a PostgreSQL of its own, whose CPU time counts too. */
export async function onPostgresql<Result>(measureOn: (target: Target) => Promise<Result>): Promise<Result> {
  const postgres = await startPostgres()
  const hearth = await startHearth({ databaseUrl: await postgres.createDatabase() })
  try {
    return await measureOn({ url: hearth.url, pids: [hearth.pid, postgres.pid] })
  } finally {
    await hearth.dispose()
    await postgres.stop()
  }
}
