import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { ELEMENT_X } from '../clients/element-x-build.ts'

/** Runs every check and every test, and closes with what failed and `N passed, N failed`. Exit status 1 when anything failed. */
const folder = mkdtempSync(join(tmpdir(), 'hearth-results-'))
const failures: string[] = []
let passed = 0

/** What of vitest's report (its JSON reporter) is read. */
type Report = {
  numPassedTests: number
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[]
  }[]
}

function run(name: string, [program, ...options]: [string, ...string[]]): boolean {
  console.log(`\n== ${name}`)
  const started = performance.now()
  const { status } = spawnSync(program, options, { stdio: 'inherit' })
  console.log(`== ${name}: ${Math.round((performance.now() - started) / 1000)} s`)
  return status === 0
}

function step(name: string, command: [string, ...string[]]): void {
  if (run(name, command)) passed++
  else failures.push(name)
}

/** Vitest's own counts; a run that ends without a report, or for another reason than a test badly, is one failure. */
function tests(name: string, projects: string[], options: string[] = []): void {
  const report = join(folder, `${name}.json`)
  const which = projects.flatMap((project) => ['--project', project])
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile=${report}`]
  const succeeded = run(name, ['vitest', 'run', ...which, ...options, ...reporters])
  const found = existsSync(report) ? read(name, JSON.parse(readFileSync(report, 'utf8'))) : 0
  if (found === 0 && !succeeded) failures.push(`${name}: ended badly, though no test failed; see above`)
}

/** Counts what passed, and notes what failed: files that could not be run too. Returns how many failed. */
function read(name: string, { numPassedTests, testResults }: Report): number {
  passed += numPassedTests
  const before = failures.length
  for (const file of testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed')
    const where = `${name}: ${relative('.', file.name)}`
    for (const test of failed) failures.push(`${where} > ${test.fullName}\n${excerpt(test.failureMessages?.[0])}`)
    if (failed.length === 0 && file.status === 'failed') failures.push(`${where}\n${excerpt(file.message)}`)
  }
  if (numPassedTests === 0 && failures.length === before) failures.push(`${name}: nothing was tested`)
  return failures.length - before
}

const excerpt = (message = '') => message.split('\n').slice(0, 12).join('\n').slice(0, 2000)

step('types', ['tsc', '--noEmit'])
step('lint', ['biome', 'check', '.'])
step('dead code', ['knip'])
// Files that share no server run on all cores.
const onAllCores = [`--maxWorkers=${availableParallelism()}`]
tests('unit', ['unit'], onAllCores)
tests('on-pglite', ['pglite'])
// Three processes share a PostgreSQL: what one does alone there (project `postgresql`) they do too.
tests('on-three-processes', ['three-processes'])
tests('whole', ['whole'], onAllCores)
if (existsSync(ELEMENT_X)) step("Element X's SDK", ['npm', 'run', '--silent', 'test:element-x'])
else
  console.log("\n== Element X's SDK: not tried, as it is not built here; `npm run test:element-x` builds and tries it")
rmSync(folder, { recursive: true, force: true })
for (const failure of failures) console.log(`\n== FAILED: ${failure}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exit(failures.length === 0 ? 0 : 1)
