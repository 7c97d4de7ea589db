import type { TestProject } from 'vitest/node'
import { SHARED_SECRET } from '../harness/hearth.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the homeserver under test, and its registration shared secret. */
    homeserver: { url: string; sharedSecret: string }
  }
}

/**
 * Provides the homeserver to the tests of a project: `HOMESERVER_URL` if set, or the one that `start` starts. Returns a
 * function that stops it.
 */
export async function provideHomeserver(
  project: TestProject,
  start: () => Promise<{ url: string; dispose(): Promise<void> }>,
): Promise<() => Promise<void>> {
  const given = process.env.HOMESERVER_URL
  if (given) {
    project.provide('homeserver', { url: given, sharedSecret: process.env.HOMESERVER_SHARED_SECRET ?? '' })
    return async () => {}
  }
  const server = await start()
  project.provide('homeserver', { url: server.url, sharedSecret: SHARED_SECRET })
  return () => server.dispose()
}
