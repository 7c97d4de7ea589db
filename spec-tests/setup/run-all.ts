import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { ELEMENT_X } from '../clients/element-x-build.ts'

/**
 * Runs every check and every test, and ends with the failures and `N passed, N failed`. Exit status 1 if anything
 * failed.
 */
const folder = mkdtempSync(join(tmpdir(), 'hearth-results-'))
const failures: string[] = []
/** Tests that failed, and passed on a retry: each is a bug of the test or of Hearth, listed at the end. */
const flaky: string[] = []
let passed = 0

type Command = [program: string, ...options: string[]]

/** The used part of vitest's JSON report. */
type Report = {
  numPassedTests: number
  testResults: {
    name: string
    status: string
    message: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[]
  }[]
}

/**
 * Whether a program's output is shown immediately, or at its end: only one of several concurrent programs may print.
 */
type Seen = 'at once' | 'at the end'

/** Runs a program, and returns whether it succeeded. */
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

/**
 * Runs vitest. A run without a report, or that fails for a reason other than a test, is one failure. Files with failed
 * tests are retried: tests that then pass count as passed, and are listed at the end.
 */
async function tests(name: string, project: string, workers: number, seen: Seen = 'at once'): Promise<void> {
  const options = ['--project', project, `--maxWorkers=${workers}`, '--reporter=default', '--reporter=json']
  const attempt = async (title: string, files: string[]): Promise<Results | undefined> => {
    const report = join(folder, `${title}.json`)
    const succeeded = await run(title, ['vitest', 'run', ...files, ...options, `--outputFile=${report}`], seen)
    const results = existsSync(report) ? read(JSON.parse(readFileSync(report, 'utf8'))) : undefined
    return results && (succeeded || results.failed.size > 0) ? results : undefined
  }
  const first = await attempt(name, [])
  if (!first) return void failures.push(`${name}: ended badly, though no test failed; see above`)
  if (first.failed.size === 0 && first.count === 0) failures.push(`${name}: nothing was tested`)
  const files = new Set([...first.failed.values()].map(({ file }) => file))
  const second = files.size > 0 ? await attempt(`${name}, once more`, [...files]) : undefined
  passed += first.count
  for (const [key, { message }] of first.failed) {
    const isBack = second?.passed.has(key) ?? false
    if (isBack) passed++
    ;(isBack ? flaky : failures).push(`${name}: ${key}\n${message}`)
  }
}

/**
 * Tests by file, name and index of that name; files as a whole by their names: one that could not be run is one
 * failure.
 */
type Results = { count: number; passed: Set<string>; failed: Map<string, { file: string; message: string }> }

function read({ numPassedTests, testResults }: Report): Results {
  const results: Results = { count: numPassedTests, passed: new Set(), failed: new Map() }
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative('.', name)
    const times = new Map<string, number>()
    for (const test of assertionResults) {
      const time = (times.get(test.fullName) ?? 0) + 1
      times.set(test.fullName, time)
      const key = `${file} > ${test.fullName}${time > 1 ? ` (${time})` : ''}`
      if (test.status === 'passed') results.passed.add(key)
      if (test.status === 'failed') results.failed.set(key, { file, message: excerpt(test.failureMessages?.[0]) })
    }
    const isBroken = status === 'failed' && !assertionResults.some((test) => test.status === 'failed')
    if (isBroken) results.failed.set(file, { file, message: excerpt(message) })
    else results.passed.add(file)
  }
  return results
}

const excerpt = (message = '') => message.split('\n').slice(0, 12).join('\n').slice(0, 2000)

const cores = availableParallelism()
await Promise.all([
  step('types', ['tsc', '--noEmit']),
  step('lint', ['biome', 'check', '.']),
  step('dead code', ['knip']),
])
await tests('unit', 'unit', cores)
// Each has one server, which the files share: they run one after the other. The three processes share a PostgreSQL, and
// also cover what the project `postgresql` tests on one process.
await Promise.all([tests('on-pglite', 'pglite', 1), tests('on-three-processes', 'three-processes', 1, 'at the end')])
await tests('on-s3', 's3', 1)
// They wait half of their time: for timeouts, for clients that poll, for each other.
await tests('whole', 'whole', cores + 2)
await tests('calls', 'calls', 1)
if (existsSync(ELEMENT_X)) await step("Element X's SDK", ['npm', 'run', '--silent', 'test:element-x'], 'at once')
else
  console.log("\n== Element X's SDK: not tried, as it is not built here; `npm run test:element-x` builds and tries it")
rmSync(folder, { recursive: true, force: true })
for (const test of flaky) console.log(`\n== FLAKY (it failed, and passed when it was tried again): ${test}`)
for (const failure of failures) console.log(`\n== FAILED: ${failure}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exit(failures.length === 0 ? 0 : 1)
