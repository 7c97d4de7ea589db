import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { ELEMENT_X } from '../clients/element-x-build.ts'

/** Runs every check and every test, and closes with what failed and `N passed, N failed`. Exit status 1 when anything failed. */
const folder = mkdtempSync(join(tmpdir(), 'hearth-results-'))
const failures: string[] = []
let passed = 0

type Command = [program: string, ...options: string[]]

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

/** Whether what a program prints is seen at once, or when it ends: of several that run at the same time only one may talk. */
type Seen = 'at once' | 'at the end'

/** Runs a program. Whether it succeeded. */
async function run(name: string, [program, ...options]: Command, seen: Seen): Promise<boolean> {
  const file = join(folder, `${name}.log`)
  const output = seen === 'at once' ? 'inherit' : openSync(file, 'w')
  if (seen === 'at once') console.log(`\n== ${name}`)
  const started = performance.now()
  const child = spawn(program, options, { stdio: ['ignore', output, output] })
  const status = await new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
  if (seen === 'at the end') console.log(`\n== ${name}\n${readFileSync(file, 'utf8')}`)
  console.log(`== ${name}: ${Math.round((performance.now() - started) / 1000)} s`)
  return status === 0
}

async function step(name: string, command: Command, seen: Seen = 'at the end'): Promise<void> {
  if (await run(name, command, seen)) passed++
  else failures.push(name)
}

/** Vitest's own counts; a run that ends without a report, or for another reason than a test badly, is one failure. */
async function tests(name: string, project: string, workers: number, seen: Seen = 'at once'): Promise<void> {
  const report = join(folder, `${name}.json`)
  const options = ['--project', project, `--maxWorkers=${workers}`, '--reporter=default', '--reporter=json']
  const succeeded = await run(name, ['vitest', 'run', ...options, `--outputFile=${report}`], seen)
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

const cores = availableParallelism()
await Promise.all([
  step('types', ['tsc', '--noEmit']),
  step('lint', ['biome', 'check', '.']),
  step('dead code', ['knip']),
])
await tests('unit', 'unit', cores)
// Each has one server, which the files share: they run one after the other. Three processes share a PostgreSQL: what one does alone there (project
// `postgresql`) they do too.
await Promise.all([tests('on-pglite', 'pglite', 1), tests('on-three-processes', 'three-processes', 1, 'at the end')])
await tests('whole', 'whole', cores)
if (existsSync(ELEMENT_X)) await step("Element X's SDK", ['npm', 'run', '--silent', 'test:element-x'], 'at once')
else
  console.log("\n== Element X's SDK: not tried, as it is not built here; `npm run test:element-x` builds and tries it")
rmSync(folder, { recursive: true, force: true })
for (const failure of failures) console.log(`\n== FAILED: ${failure}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exit(failures.length === 0 ? 0 : 1)
