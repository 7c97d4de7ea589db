import type { Target } from './measure.ts'
import { type Server, startOnPglite, startOnPostgresql } from './servers.ts'

type MeasureOn<Result> = (target: Target) => Promise<Result>

/** Measures a Hearth of its own on the embedded database. */
export function onPglite<Result>(measureOn: MeasureOn<Result>): Promise<Result> {
  return measured(startOnPglite, measureOn)
}

/** Measures a Hearth of its own on a PostgreSQL of its own, whose CPU time counts too. */
export function onPostgresql<Result>(measureOn: MeasureOn<Result>): Promise<Result> {
  return measured(startOnPostgresql, measureOn)
}

async function measured<Result>(start: () => Promise<Server>, measureOn: MeasureOn<Result>): Promise<Result> {
  const server = await start()
  try {
    return await measureOn(server)
  } finally {
    await server.stop()
  }
}
