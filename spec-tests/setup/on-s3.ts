import type { TestProject } from 'vitest/node'
import { startVersitygw } from '../harness/versitygw.ts'
import { provideHomeserver } from './homeserver.ts'
import { startThreeProcesses } from './on-three-processes.ts'

/** Three Hearths on one PostgreSQL, with their media in an S3-compatible store. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideHomeserver(project, async () => {
    const store = await startVersitygw()
    const processes = await startThreeProcesses({ s3: store.config })
    return {
      url: processes.url,
      async dispose() {
        await processes.dispose()
        await store.stop()
      },
    }
  })
}
