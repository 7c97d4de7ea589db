import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

/** Files by path, relative to the repository. */
type Sources = ReadonlyMap<string, string>
type Import = { target: string; typeOnly: boolean }

const LAYERS = ['core', 'storage', 'infra', 'services', 'api', 'server']
const SERVICES = [
  'users',
  'devices',
  'media',
  'rooms',
  'presence',
  'search',
  'federation',
  'push',
  'appservices',
  'oauth',
  'sync',
  'rtc',
  'admin',
]
const CORE_PACKAGES = ['libsodium-wrappers', 'sodium-native', 'tweetnacl', 'zod']
const CORE_BUILTINS = ['node:buffer', 'node:crypto', 'node:util']
const MAX_LINES = 500
const BANNED_NAMES = /(^|[/.-])(utils?|helpers?|common|misc)([/.-]|$)/i
const TIMELESS = ['core', 'storage', 'services']
const UNTIMELY = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b/
const RANDOM = /\b(randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)\b/

const sources = new Map(
  ['src', 'migrations', 'spec-tests', 'bench']
    .filter((folder) => existsSync(folder))
    .flatMap(filesIn)
    .map((file) => [file, readFileSync(file, 'utf8')] as const),
)

function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => /\.m?[jt]s$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name))
}

test('the house keeps its rules', () => {
  expect(sources.size).toBeGreaterThan(10)
  expect(violations(sources)).toEqual([])
})

/** Every breach of the rules in docs/, as a line that names the file. */
function violations(files: Sources): string[] {
  const program = new Map([...files].filter(([file]) => file.startsWith('src/') && !isTest(file)))
  const each = (check: (file: string, text: string) => string[], over: Sources) =>
    [...over].flatMap(([file, text]) => check(file, text).map((fault) => `${file}: ${fault}`))
  return [
    ...each(nameAndSize, files),
    ...each(misplaced, program),
    ...each(forbiddenImports, program),
    ...each(forbiddenCalls, program),
    ...cycles(program),
  ]
}

/** Tests, and what only they use. */
function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || /\/test-[^/]*\.ts$/.test(file)
}

function nameAndSize(file: string, text: string): string[] {
  const lines = text.trimEnd().split('\n').length
  return [
    ...(BANNED_NAMES.test(file) ? ['is named after no thing in particular'] : []),
    ...(lines > MAX_LINES ? [`has ${lines} lines, more than ${MAX_LINES}`] : []),
  ]
}

function misplaced(file: string): string[] {
  const [, folder, area, ...rest] = file.split('/')
  if (layerOf(file) === undefined) return ['is in no layer']
  if (folder !== 'services') return []
  return SERVICES.includes(area ?? '') && rest.length === 1 ? [] : ['is not directly in a known services/<area>/']
}

/** The files beside the folders: the composition root and the commands are the last layer, app.ts and config.ts have rules of their own. */
function layerOf(file: string): string | undefined {
  const [, folder = ''] = file.split('/')
  if (['server.ts', 'open-app.ts', 'main.js', 'cli.ts', 'cli'].includes(folder)) return 'server'
  if (['config.ts', 'config'].includes(folder)) return 'config'
  if (folder === 'app.ts') return 'app'
  return LAYERS.slice(0, -1).find((layer) => layer === folder)
}

function forbiddenImports(file: string, text: string): string[] {
  return importsOf(file, text).flatMap(({ target, typeOnly }) =>
    mayImport(file, target, typeOnly) ? [] : [`may not import ${target}`],
  )
}

function mayImport(file: string, target: string, typeOnly: boolean): boolean {
  const [from, to] = [layerOf(file), layerOf(target)]
  if (isTest(target)) return false
  if (!target.startsWith('src/')) return from !== 'core' || mayUseInCore(target)
  if (from === 'server') return true
  if (from === 'config') return to === 'config' || to === 'core'
  if (to === 'config') return typeOnly && from !== 'core'
  if (to === 'app') return typeOnly && (from === 'services' || from === 'api')
  if (from === 'app') return typeOnly || to === 'core'
  if (from === 'services' && to === 'services') return areaOf(target) <= areaOf(file)
  return LAYERS.indexOf(to ?? '') <= LAYERS.indexOf(from ?? '') && to !== undefined
}

function mayUseInCore(target: string): boolean {
  return target.startsWith('node:') ? CORE_BUILTINS.includes(target) : CORE_PACKAGES.includes(target)
}

function areaOf(file: string): number {
  return SERVICES.indexOf(file.split('/')[2] ?? '')
}

function forbiddenCalls(file: string, text: string): string[] {
  const code = withoutComments(text)
  const layer = layerOf(file) ?? ''
  return [
    ...(layer !== 'config' && /\bprocess\.env\b|\bprocess\[/.test(code) ? ['reads process.env'] : []),
    ...(TIMELESS.includes(layer) && UNTIMELY.test(code) ? ['asks for the time or for chance; use app.clock'] : []),
    ...(layer === 'core' && RANDOM.test(code) ? ['is core, but random'] : []),
  ]
}

/** Comments go, text in quotes stays. */
function withoutComments(text: string): string {
  const token = /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
  return text.replace(token, (_, quoted?: string) => quoted ?? ' ')
}

/** What a file imports, exports from or loads on demand; relative paths become paths in the repository. */
function importsOf(file: string, text: string): Import[] {
  const code = withoutComments(text)
  const fixed = code.matchAll(
    /^(?:import|export)\b(?:(\s+type\b(?!\s*,|\s+from))?([^'"`;()=]*?)\bfrom)?\s*['"]([^'"]+)['"]/gm,
  )
  const lazy = code.matchAll(/(\btypeof\s+|[:|&<]\s*)?\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)
  return [
    ...[...fixed].map(([, type, names, path]) => ({
      target: resolveImport(file, path!),
      typeOnly: type !== undefined || onlyTypes(names ?? ''),
    })),
    ...[...lazy].map(([, type, path]) => ({ target: resolveImport(file, path!), typeOnly: type !== undefined })),
  ]
}

function onlyTypes(names: string): boolean {
  const inBraces = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1]
  const each = inBraces?.split(',').filter((name) => name.trim() !== '') ?? []
  return each.length > 0 && each.every((name) => /^\s*type\s/.test(name))
}

function resolveImport(file: string, path: string): string {
  return path.startsWith('.') ? normalize(join(dirname(file), path)) : path
}

/** Files that need one another to load; imports of types do not count, for they are gone at run time. */
function cycles(files: Sources): string[] {
  const edges = new Map(
    [...files].map(([file, text]) => {
      const targets = importsOf(file, text).filter(({ target, typeOnly }) => !typeOnly && files.has(target))
      return [file, targets.map(({ target }) => target)] as const
    }),
  )
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file)
    if (start >= 0) found.push(`${[...trail.slice(start), file].join(' → ')}: imports in a circle`)
    if (start >= 0 || done.has(file)) return
    for (const target of edges.get(file) ?? []) visit(target, [...trail, file])
    done.add(file)
  }
  for (const file of edges.keys()) visit(file, [])
  return found
}

describe('the rules find', () => {
  const faultsOf = (files: Record<string, string>) => violations(new Map(Object.entries(files)))

  test.each([
    ['src/core/a.ts', "import { x } from '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "import type { x } from '../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/core/a.ts', "export * from '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "import '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/a/b.ts', "import {\n  one,\n  two,\n} from '../../api/b.ts'", 'may not import src/api/b.ts'],
    ['src/core/a.ts', "const b = await import('../storage/b.ts')", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "type B = import('../storage/b.ts').B", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "import { readFile } from 'node:fs/promises'", 'may not import node:fs/promises'],
    ['src/core/a.ts', "import pg from 'pg'", 'may not import pg'],
    ['src/core/a.ts', "import type { Config } from '../config.ts'", 'may not import src/config.ts'],
    ['src/storage/a.ts', "import { x } from '../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/infra/a.ts', "import type { App } from '../app.ts'", 'may not import src/app.ts'],
    ['src/services/users/a.ts', "import { x } from '../rooms/b.ts'", 'may not import src/services/rooms/b.ts'],
    ['src/services/users/a.ts', "import { app } from '../../app.ts'", 'may not import src/app.ts'],
    ['src/services/users/a.ts', "import { x } from '../../api/b.ts'", 'may not import src/api/b.ts'],
    ['src/services/users/a.ts', "import { loadConfig } from '../../config.ts'", 'may not import src/config.ts'],
    ['src/services/users/a.ts', "import { type App, start } from '../../app.ts'", 'may not import src/app.ts'],
    ['src/api/a.ts', "import { x } from '../server.ts'", 'may not import src/server.ts'],
    ['src/config/a.ts', "import { x } from '../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/storage/a.ts', "import { x } from './test-database.ts'", 'may not import src/storage/test-database.ts'],
    ['src/services/a.ts', '', 'is not directly in a known services/<area>/'],
    ['src/services/wizardry/a.ts', '', 'is not directly in a known services/<area>/'],
    ['src/services/rooms/deep/a.ts', '', 'is not directly in a known services/<area>/'],
    ['src/elsewhere/a.ts', '', 'is in no layer'],
    ['src/infra/a.ts', 'const home = process.env.HOME', 'reads process.env'],
    ['src/core/a.ts', 'const now = Date.now()', 'asks for the time or for chance; use app.clock'],
    ['src/storage/a.ts', 'const now = new Date()', 'asks for the time or for chance; use app.clock'],
    ['src/services/rooms/a.ts', 'const x = Math.random()', 'asks for the time or for chance; use app.clock'],
    ['src/core/a.ts', "import { randomBytes } from 'node:crypto'", 'is core, but random'],
    ['src/api/room-utils.ts', '', 'is named after no thing in particular'],
    ['src/api/helpers/a.ts', '', 'is named after no thing in particular'],
    ['spec-tests/common.ts', '', 'is named after no thing in particular'],
    ['src/api/a.test.ts', 'x\n'.repeat(501), 'has 501 lines, more than 500'],
  ])('%s: %j', (file, text, fault) => {
    expect(faultsOf({ [file]: text })).toEqual([`${file}: ${fault}`])
  })

  test('a circle', () => {
    expect(
      faultsOf({
        'src/core/a.ts': "import { b } from './b.ts'",
        'src/core/b.ts': "export { c } from './c.ts'",
        'src/core/c.ts': "import { a } from './a.ts'",
      }),
    ).toEqual(['src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts: imports in a circle'])
  })
})

describe('the rules allow', () => {
  test.each([
    ['src/services/rooms/a.ts', "import { x } from '../users/b.ts'"],
    ['src/services/rooms/a.ts', "import type { App } from '../../app.ts'"],
    ['src/services/rooms/a.ts', "import { type App } from '../../app.ts'"],
    ['src/infra/a.ts', "import type { Config } from '../config.ts'"],
    ['src/server.ts', "import { x } from './services/rooms/b.ts'"],
    ['src/config/a.ts', "import { ROOM_VERSIONS } from '../core/room-versions.ts'"],
    ['src/core/a.ts', "import { createHash } from 'node:crypto'"],
    ['src/core/a.ts', '// unlike Date.now() or process.env\nconst date = new Date(0)'],
    ['src/core/a.ts', "/* import x from '../storage/b.ts' */ const text = 'see // https://a'"],
    ['src/core/a.test.ts', "import { x } from '../storage/b.ts'\nDate.now()"],
  ])('%s: %j', (file, text) => {
    expect(violations(new Map([[file, text]]))).toEqual([])
  })

  test('a circle of types', () => {
    const files = {
      'src/core/a.ts': "import type { B } from './b.ts'",
      'src/core/b.ts': "import { a } from './a.ts'",
    }
    expect(violations(new Map(Object.entries(files)))).toEqual([])
  })
})
