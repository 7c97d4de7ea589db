import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ELEMENT_X } from '../clients/element-x-build.ts'

/** Runs every check and every test, and closes with `N passed, N failed`. Exit status 1 when anything failed. */
const folder = mkdtempSync(join(tmpdir(), 'hearth-results-'))
let passed = 0
let failed = 0

function step(name: string, command: string[]): void {
  console.log(`\n== ${name}`)
  const { status } = spawnSync(command[0]!, command.slice(1), { stdio: 'inherit' })
  if (status === 0) passed++
  else failed++
}

/** Vitest's own counts; a run that ends without a report is one failure. Files that share no server run on all cores. */
function tests(name: string, projects: string[], options: string[] = []): void {
  console.log(`\n== ${name}`)
  const report = join(folder, `${name}.json`)
  const { status } = spawnSync(
    'vitest',
    [
      'run',
      ...projects.flatMap((project) => ['--project', project]),
      ...options,
      '--reporter=default',
      '--reporter=json',
      `--outputFile=${report}`,
    ],
    { stdio: 'inherit' },
  )
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
    passed += numPassedTests
    failed += numFailedTests
    if (status !== 0 && numFailedTests === 0) failed++
    if (numPassedTests + numFailedTests === 0) failed++
  } catch {
    failed++
  }
}

step('types', ['tsc', '--noEmit'])
step('lint', ['biome', 'check', '.'])
step('dead code', ['knip'])
const onAllCores = [`--maxWorkers=${availableParallelism()}`]
tests('unit', ['unit'], onAllCores)
tests('on-pglite', ['pglite'])
// Three processes share a PostgreSQL: what one does alone there (project `postgresql`) they do too.
tests('on-three-processes', ['three-processes'])
tests('whole', ['whole'], onAllCores)
if (existsSync(ELEMENT_X)) step("Element X's SDK", ['npm', 'run', 'test:element-x'])
else
  console.log("\n== Element X's SDK: not tried, as it is not built here; `npm run test:element-x` builds and tries it")
rmSync(folder, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
