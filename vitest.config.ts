import { defineConfig } from 'vitest/config'

const SPEC_TESTS = ['spec-tests/*/*.test.ts']
const timeouts = { testTimeout: 60_000, hookTimeout: 120_000 }

/** `unit`: beside the code. The others run the same black-box tests against a server on each kind of database, against three processes, and against Synapse. `whole`: tests that start servers themselves. */
export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts'], ...timeouts } },
      {
        test: {
          name: 'whole',
          include: ['spec-tests/whole/*.test.ts', 'spec-tests/server-server/*.test.ts'],
          ...timeouts,
        },
      },
      ...['pglite', 'postgresql', 'three-processes', 'synapse'].map((where) => ({
        test: {
          name: where,
          include: SPEC_TESTS,
          exclude: ['spec-tests/whole/*', 'spec-tests/server-server/*'],
          globalSetup: `spec-tests/setup/on-${where}.ts`,
          ...timeouts,
        },
      })),
    ],
  },
})
