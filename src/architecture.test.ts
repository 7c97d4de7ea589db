import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { violations } from './test-architecture.ts'

/** Allowed breaches: Synapse's state resolution has no HTTP endpoint, so this test calls both implementations. */
const COMPARED_WITH_SYNAPSE = [
  ...[
    ...['events/to-event.ts', 'ids.ts', 'pdu.ts', 'room-versions.ts', 'state-resolution/state-map.ts'].map(
      (file) => `random-rooms.ts: may not import src/core/${file}`,
    ),
    'random-rooms.ts: may not import src/testing/state-resolution/test-random-room.ts',
  ].map((breach) => `spec-tests/harness/${breach}`),
  ...['room-versions.ts', 'state-resolution/resolve-state.ts', 'state-resolution/state-map.ts'].map(
    (file) => `spec-tests/server-server/synapse-resolution.test.ts: may not import src/core/${file}`,
  ),
]

function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => /\.m?[jt]s$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name))
}

test('the house keeps its rules', () => {
  const folders = ['src', 'migrations', 'testing', 'spec-tests', 'bench'].filter((folder) => existsSync(folder))
  const sources = new Map(folders.flatMap(filesIn).map((file) => [file, readFileSync(file, 'utf8')] as const))
  expect(sources.size).toBeGreaterThan(10)
  expect(violations(sources).sort()).toEqual([...COMPARED_WITH_SYNAPSE].sort())
})

const faultsOf = (files: Record<string, string>) => violations(new Map(Object.entries(files)))
const lines = (count: number) => 'x\n'.repeat(count)

describe('the rules find', () => {
  test.each([
    ['src/core/a.ts', "import { x } from '../storage/engine/b.ts'", 'may not import src/storage/engine/b.ts'],
    ['src/core/a.ts', "import type { x } from '../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/core/a.ts', "export * from '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "export { x } from '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "import '../storage/b.ts'", 'may not import src/storage/b.ts'],
    ['src/core/rooms/b.ts', "import {\n  one,\n  two,\n} from '../../api/b.ts'", 'may not import src/api/b.ts'],
    ['src/core/a.ts', "const b = await import('../storage/b.ts')", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "type B = import('../storage/b.ts').B", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "type B = typeof import('../storage/b.ts')", 'may not import src/storage/b.ts'],
    ['src/core/a.ts', "import { readFile } from 'node:fs/promises'", 'may not import node:fs/promises'],
    ['src/core/a.ts', "import pg from 'pg'", 'may not import pg'],
    ['src/core/a.ts', "import type { Config } from '../config.ts'", 'may not import src/config.ts'],
    ['src/core/a.ts', "import { x } from './json/b.ts'", 'may not import src/core/json/b.ts'],
    ['src/storage/users/a.ts', "import { x } from '../../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/storage/users/a.ts', "import { x } from '../rooms/b.ts'", 'may not import src/storage/rooms/b.ts'],
    ['src/storage/engine/a.ts', "import type { X } from '../users/b.ts'", 'may not import src/storage/users/b.ts'],
    ['src/storage/rooms/timeline/a.ts', "import { x } from '../b.ts'", 'may not import src/storage/rooms/b.ts'],
    ['src/infra/a.ts', "import type { App } from '../app.ts'", 'may not import src/app.ts'],
    [
      'src/services/users/a.ts',
      "import { x } from '../rooms/sending/b.ts'",
      'may not import src/services/rooms/sending/b.ts',
    ],
    ['src/services/users/a.ts', "import type { X } from '../media/b.ts'", 'may not import src/services/media/b.ts'],
    [
      'src/services/rooms/access/a.ts',
      "import { x } from '../sending/b.ts'",
      'may not import src/services/rooms/sending/b.ts',
    ],
    [
      'src/services/sync/v3/a.ts',
      "import type { X } from '../sliding/b.ts'",
      'may not import src/services/sync/sliding/b.ts',
    ],
    ['src/services/users/a.ts', "import { app } from '../../app.ts'", 'may not import src/app.ts'],
    ['src/services/users/a.ts', "import { x } from '../../api/b.ts'", 'may not import src/api/b.ts'],
    ['src/services/users/a.ts', "import { loadConfig } from '../../config.ts'", 'may not import src/config.ts'],
    ['src/services/users/a.ts', "import { type App, start } from '../../app.ts'", 'may not import src/app.ts'],
    ['src/api/a.ts', "import { x } from '../server.ts'", 'may not import src/server.ts'],
    ['src/api/client/users/a.ts', "import { x } from '../sync/b.ts'", 'may not import src/api/client/sync/b.ts'],
    ['src/config/a.ts', "import { x } from '../infra/b.ts'", 'may not import src/infra/b.ts'],
    ['src/storage/users/a.ts', "import { x } from './test-x.ts'", 'may not import src/storage/users/test-x.ts'],
    ['src/services/users/a.ts', "import { x } from '../../testing/b.ts'", 'may not import src/testing/b.ts'],
    ['src/services/users/a.ts', "import { x } from '../../../testing/b.ts'", 'may not import testing/b.ts'],
    ['src/services/users/a.ts', "import { x } from '../../../spec-tests/b.ts'", 'may not import spec-tests/b.ts'],
    ['src/services/users/a.test.ts', "import { x } from '../../../spec-tests/b.ts'", 'may not import spec-tests/b.ts'],
    ['src/testing/a.ts', "import { x } from '../../bench/b.ts'", 'may not import bench/b.ts'],
    ['testing/a.ts', "import { x } from '../src/core/b.ts'", 'may not import src/core/b.ts'],
    ['testing/a.ts', "import type { X } from '../spec-tests/b.ts'", 'may not import spec-tests/b.ts'],
    ['spec-tests/harness/a.ts', "import type { X } from '../../src/core/b.ts'", 'may not import src/core/b.ts'],
    ['spec-tests/harness/a.ts', "import { x } from '../../bench/b.ts'", 'may not import bench/b.ts'],
    ['src/services/a.ts', '', 'is in no folder of the order of src/services'],
    ['src/services/rooms/a.ts', '', 'is in no folder of the order of src/services/rooms'],
    ['src/services/wizardry/a.ts', '', 'is in no folder of the order of src/services'],
    ['src/services/rooms/wizardry/a.ts', '', 'is in no folder of the order of src/services/rooms'],
    ['src/services/users/deep/a.ts', '', 'is in no folder of the order of src/services/users'],
    ['src/elsewhere/a.ts', '', 'is in no layer'],
    ['src/a.ts', '', 'is in no layer'],
    ['src/infra/a.ts', 'const home = process.env.HOME', 'reads process.env'],
    ['src/core/a.ts', 'const now = Date.now()', 'asks for the time or for randomness; use app.clock or app.random'],
    [
      'src/storage/users/a.ts',
      'const now = new Date()',
      'asks for the time or for randomness; use app.clock or app.random',
    ],
    [
      'src/services/users/a.ts',
      'const x = Math.random()',
      'asks for the time or for randomness; use app.clock or app.random',
    ],
    ['src/core/a.ts', "import { randomBytes } from 'node:crypto'", 'is core, but random'],
    ['src/api/http/room-utils.ts', '', 'is named after no thing in particular'],
    ['spec-tests/common.ts', '', 'is named after no thing in particular'],
    ['src/api/a.test.ts', lines(501), 'has 501 lines, more than 500'],
    ['src/core/a.ts', `function long() {\n${lines(59)}}`, 'long has more than 60 lines'],
    ['src/core/a.ts', `const long = async () => {\n${lines(59)}}`, 'long has more than 60 lines'],
    ['src/core/a.ts', `list.map(function () {\n${lines(59)}})`, 'a function has more than 60 lines'],
    ['src/core/a.ts', `class A {\n  long() {\n${lines(59)}}\n}`, 'a function has more than 60 lines'],
    ['src/services/users/a.ts', 'let count = 0', 'count is state of a module; make it a member of App'],
    ['src/storage/users/a.ts', 'let count = 0', 'count is state of a module; make it a member of App'],
    ['src/services/users/a.ts', 'export let count = 0', 'count is state of a module; make it a member of App'],
    [
      'src/services/users/a.ts',
      'const all = new Map<string, X>()',
      'all is state of a module; make it a member of App',
    ],
    ['src/services/users/a.ts', 'const all = new WeakMap<A, B>()', 'all is state of a module; make it a member of App'],
    [
      'src/services/users/a.ts',
      'const all = new LRUCache({ max: 9 })',
      'all is state of a module; make it a member of App',
    ],
    ['src/services/users/a.ts', 'const all: X[] = []', 'all is state of a module; make it a member of App'],
  ])('%s: %j', (file, text, fault) => {
    expect(faultsOf({ [file]: text })).toEqual([`${file}: ${fault}`])
  })

  test('a circle, of types too', () => {
    expect(
      faultsOf({
        'src/core/a.ts': "import { b } from './b.ts'",
        'src/core/b.ts': "export type { c } from './c.ts'",
        'src/core/c.ts': "type A = import('./a.ts').A",
      }),
    ).toEqual(['src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts: imports in a circle'])
  })

  test('two exports of one name', () => {
    const files = {
      'src/core/a.ts': 'export function act() {}',
      'src/core/b.ts': 'const act = 1\nexport { act }',
      'src/core/json/c.ts': 'export type act = string',
    }
    const named = 'src/core/a.ts, src/core/b.ts, src/core/json/c.ts: export act, which is two things of one name'
    expect(faultsOf(files)).toEqual([named])
  })

  test('a folder with too many files', () => {
    const files = Array.from({ length: 41 }, (_, number) => [`src/core/a${number}.ts`, ''])
    expect(faultsOf(Object.fromEntries(files))).toEqual(['src/core: has 41 files, more than 40'])
  })
})

describe('the rules allow', () => {
  test.each([
    ['src/services/media/a.ts', "import { x } from '../users/b.ts'"],
    ['src/services/rooms/sending/a.ts', "import { x } from '../timeline/b.ts'"],
    ['src/services/rooms/sending/a.ts', "import { x } from './b.ts'"],
    ['src/services/sync/v3/a.ts', "import { x } from '../../rooms/delayed/b.ts'"],
    ['src/services/users/a.ts', "import type { App } from '../../app.ts'"],
    ['src/services/users/a.ts', "import { type App } from '../../app.ts'"],
    ['src/infra/a.ts', "import type { Config } from '../config.ts'"],
    ['src/server.ts', "import { x } from './services/users/b.ts'"],
    ['src/cli/a.ts', "import { x } from '../server.ts'"],
    ['src/config/a.ts', "import { ROOM_VERSIONS } from '../core/room-versions.ts'"],
    ['src/core/a.ts', "import { createHash } from 'node:crypto'"],
    ['src/core/a.ts', '// unlike Date.now() or process.env\nconst date = new Date(0)'],
    ['src/core/a.ts', "/* import x from '../storage/b.ts' */ const text = 'see // https://a'"],
    ['src/core/a.test.ts', "import { x } from '../storage/b.ts'\nDate.now()"],
    [
      'src/services/users/a.test.ts',
      "import { x } from '../../../testing/b.ts'\nimport { y } from '../../testing/c.ts'",
    ],
    ['src/testing/a.ts', "import { x } from '../core/b.ts'\nimport { y } from '../../testing/c.ts'"],
    ['testing/a.ts', "import { x } from './b.ts'\nimport stringify from 'canonical-json'"],
    ['spec-tests/whole/a.test.ts', "import { x } from '../harness/b.ts'\nimport { y } from '../../testing/c.ts'"],
    ['bench/a.ts', "import { x } from '../spec-tests/harness/b.ts'\nimport { y } from '../src/core/c.ts'"],
    ['src/core/a.ts', `function short() {\n${lines(58)}}`],
    ['src/core/a.ts', 'const memo = new WeakMap()\nlet count = 0'],
    [
      'src/services/users/a.ts',
      "const TYPES = new Set(['a'])\nconst NONE: ReadonlySet<string> = new Set()\nconst LIST = ['a']",
    ],
    ['src/services/users/a.ts', 'export function create() {\n  const all = new Map()\n  return all\n}'],
  ])('%s: %j', (file, text) => {
    expect(violations(new Map([[file, text]]))).toEqual([])
  })

  test('a name that is passed on', () => {
    const files = {
      'src/core/a.ts': 'export const act = 1\nexport type B = string',
      'src/core/b.ts': "export { act } from './a.ts'\nexport type { B } from './a.ts'",
    }
    expect(faultsOf(files)).toEqual([])
  })
})
