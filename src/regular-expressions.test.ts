import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAst } from 'rolldown/parseAst'
import { analyse } from 'scslre'
import { expect, test } from 'vitest'

type Found = { file: string; source: string; flags: string }

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.[jt]s$/.test(name) && !/(\.test\.ts|(^|\/)test-[^/]*\.ts)$/.test(name))
  .map((name) => join('src', name))

test('no regular expression takes more time than in proportion to the text', () => {
  const found = files.flatMap(expressionsIn)
  expect(found.length).toBeGreaterThan(50)
  expect(found.flatMap(faultsOf)).toEqual([])
})

test.each([
  ['^(a+)+$', ''],
  ['(.*)*x', ''],
  ['^\\s*a*\\s*b', ''],
  ['\\s+$', 'g'],
])('finds that /%s/%s does', (source, flags) => {
  expect(faultsOf({ file: 'x.ts', source, flags })).not.toEqual([])
})

function expressionsIn(file: string): Found[] {
  const found: Found[] = []
  visit(parseAst(readFileSync(file, 'utf8'), { lang: file.endsWith('.ts') ? 'ts' : 'js' }))
  return found

  function visit(node: unknown): void {
    if (typeof node !== 'object' || node === null) return
    const { type, regex } = node as { type?: unknown; regex?: { pattern: string; flags: string } }
    if (type === 'Literal' && regex) found.push({ file, source: regex.pattern, flags: regex.flags })
    for (const child of Object.values(node)) visit(child)
  }
}

function faultsOf({ file, source, flags }: Found): string[] {
  return analyse({ source, flags: flags.replace('v', 'u') }).reports.map(
    ({ type, exponential }) =>
      `${file}: /${source}/${flags} is ${exponential ? 'exponential' : 'polynomial'} (${type})`,
  )
}
