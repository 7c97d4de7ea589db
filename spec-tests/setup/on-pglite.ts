import type { TestProject } from 'vitest/node'
import { startHearth } from '../harness/hearth.ts'
import { provideHomeserver } from './homeserver.ts'

/** One Hearth on the embedded database. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideHomeserver(project, () => startHearth({ publicHost: 'localhost' }))
}
