import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const SPEC_TESTS = ['spec-tests/*/*.test.ts']
const STARTING_SERVERS = ['spec-tests/whole', 'spec-tests/server-server', 'spec-tests/application-service']
// Generous, for a machine may be slow and have other things to do.
const timeouts = { testTimeout: 60_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000, interval: 20 } } }

/**
 * Files that take a minute, or wait most of their time: they begin first, so that none of them runs alone at the end,
 * and those that wait run beside those that compute.
 */
const LONG = [
  'pages-in-browser',
  'bad-answers',
  'hostile-sizes',
  'hostile-federation',
  'oauth-crash',
  'commands',
  'hostile-accounts',
  'fuzz',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other))
  }
}

/** `unit`: beside the code. The others run the same black-box tests against a server on each kind of database, against three processes on one PostgreSQL, and against Synapse. `s3`: the tests of files against three processes with an S3-compatible store. `whole`: tests that start servers themselves. */
export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: LongFirst },
    projects: [
      // One file after the other in the same processes: to load the modules anew for each takes a third of the time.
      { test: { name: 'unit', include: ['src/**/*.test.ts'], isolate: false, ...timeouts } },
      {
        test: {
          name: 'whole',
          include: STARTING_SERVERS.map((folder) => `${folder}/*.test.ts`),
          ...timeouts,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      // Three browsers take all cores: nothing else runs beside them.
      {
        test: {
          name: 'calls',
          include: ['spec-tests/calls/*.test.ts'],
          ...timeouts,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      ...['pglite', 'postgresql', 'three-processes', 'synapse'].map((where) => ({
        test: {
          name: where,
          include: SPEC_TESTS,
          exclude: [
            ...[...STARTING_SERVERS, 'spec-tests/calls'].map((folder) => `${folder}/*`),
            // What a body may hold does not depend on how many processes there are.
            ...(where === 'three-processes' ? ['spec-tests/client-server/bad-input.test.ts'] : []),
          ],
          globalSetup: `spec-tests/setup/on-${where}.ts`,
          ...timeouts,
        },
      })),
      // Only media are in another place than in the other projects.
      {
        test: {
          name: 's3',
          include: ['content-repository', 'media-*', 'url-previews'].map(
            (name) => `spec-tests/client-server/${name}.test.ts`,
          ),
          globalSetup: 'spec-tests/setup/on-s3.ts',
          ...timeouts,
        },
      },
    ],
  },
})
