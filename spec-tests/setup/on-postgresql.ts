import type { TestProject } from 'vitest/node'
import { startPostgres } from '../../testing/postgres.ts'
import { startHearth } from '../harness/hearth.ts'
import { provideHomeserver } from './homeserver.ts'

/** One Hearth on PostgreSQL. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideHomeserver(project, async () => {
    const postgres = await startPostgres()
    const hearth = await startHearth({ databaseUrl: await postgres.createDatabase(), publicHost: 'localhost' })
    return {
      url: hearth.url,
      async dispose() {
        await hearth.dispose()
        await postgres.stop()
      },
    }
  })
}
