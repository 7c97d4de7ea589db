import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

const PATH = /`((?:src|spec-tests|bench|migrations|bin|docs)\/[\w./-]*)`/g
const LINK = /\]\(([^)\s]+)\)/g

const documents = [...markdownIn('.'), ...markdownIn('docs'), ...markdownIn('docs/decisions'), ...markdownIn('bench')]

function markdownIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
}

test.each(documents)('%s names files that exist, and links to pages and headings that exist', (file) => {
  expect(brokenReferences(file, readFileSync(file, 'utf8'))).toEqual([])
})

describe('a broken reference is found', () => {
  test.each([
    ['a path', 'See `src/no-such-file.ts`.', ['src/no-such-file.ts']],
    ['a link', '[x](decisions/9999-none.md)', ['decisions/9999-none.md']],
    ['a heading', '[x](../README.md#no-such-heading)', ['../README.md#no-such-heading']],
    ['none', '`src/app.ts`, `spec-tests/whole/`, [x](../README.md#start), [y](https://matrix.org)', []],
  ])('%s', (_what, text, broken) => {
    expect(brokenReferences('docs/x.md', text)).toEqual(broken)
  })
})

test('.editorconfig says what biome.json enforces', () => {
  const { indentStyle, indentWidth, lineWidth } = JSON.parse(readFileSync('biome.json', 'utf8')).formatter
  const lines = readFileSync('.editorconfig', 'utf8').split('\n\n')[1]!.split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      '[*]',
      `indent_style = ${indentStyle}`,
      `indent_size = ${indentWidth}`,
      `max_line_length = ${lineWidth}`,
    ]),
  )
})

function brokenReferences(file: string, text: string): string[] {
  const paths = [...text.matchAll(PATH)].map(([, path]) => path!)
  const links = [...withoutCode(text).matchAll(LINK)].map(([, link]) => link!).filter((link) => !/^\w+:/.test(link))
  return [...paths.filter((path) => !existsSync(path)), ...links.filter((link) => !leadsSomewhere(file, link))]
}

function leadsSomewhere(file: string, link: string): boolean {
  const [path, heading] = link.split('#')
  const target = path === '' ? file : normalize(join(dirname(file), path!))
  if (!existsSync(target)) return false
  return heading === undefined || headingsOf(readFileSync(target, 'utf8')).includes(heading)
}

/** The anchors that code hosts generate for headings. */
function headingsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s/g, '-'),
  )
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}
