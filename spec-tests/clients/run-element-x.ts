import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { registerUser, uniqueName } from '../harness/client.ts'
import { startHearth } from '../harness/hearth.ts'
import { ELEMENT_X, ELEMENT_X_TARGET } from './element-x-build.ts'
import { signInWithElementX } from './element-x-oauth.ts'

/**
 * `npm run test:element-x`: builds the program in rust/ with cargo and runs it against a Hearth, or against the
 * homeserver at HOMESERVER_URL (without OAuth). The first build takes minutes and some 2 GB in CARGO_TARGET_DIR, by
 * default ~/.cache/hearth-element-x.
 */
const folder = join(import.meta.dirname, 'rust')
const build = spawnSync('cargo', ['build', '--locked'], {
  cwd: folder,
  env: { ...process.env, CARGO_TARGET_DIR: ELEMENT_X_TARGET },
  stdio: 'inherit',
})
if (build.status !== 0) process.exit(build.status ?? 1)

const hearth = process.env.HOMESERVER_URL ? undefined : await startHearth()
const url = hearth?.url ?? process.env.HOMESERVER_URL!
try {
  const names = [uniqueName('alice'), uniqueName('bob')]
  for (const name of names) await registerUser(url, name)
  const run = spawnSync(ELEMENT_X, ['talk', url, ...names, 'correct horse battery'], {
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: 5 * 60_000,
  })
  process.exitCode = run.status ?? 1
  // The SDK's log matters only then: it also warns of normal conditions.
  if (process.exitCode !== 0) console.error(run.stderr, run.error ?? '')
} finally {
  await hearth?.dispose()
}
if (hearth) await signInWithElementX()
