import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { defaultConfig } from '../config.ts'
import { exampleConfig } from './example.ts'
import { CONFIG_KEYS } from './keys.ts'

test('config.example.yaml is what `npm run --silent hearth generate-config > config.example.yaml` writes', () => {
  const file = new URL('../../config.example.yaml', import.meta.url)
  expect(readFileSync(file, 'utf8')).toBe(exampleConfig())
})

test('every key has a description, and a default or a sample', () => {
  for (const key of CONFIG_KEYS) {
    const name = key.path.join('.')
    expect(key.description, name).not.toBe('')
    if (!key.isSection) expect(key.defaultValue ?? key.example, name).toBeDefined()
  }
})

test('no two keys share an environment variable', () => {
  const variables = CONFIG_KEYS.map(({ variable }) => variable)
  expect(new Set(variables).size).toBe(variables.length)
})

test('the defaults that the example shows are the defaults', () => {
  const uncommented = exampleConfig().replace(/^( *)#(?=\w| {2}- )/gm, '$1')
  const shown = parse(uncommented)
  expect(Object.keys(shown)).toEqual(CONFIG_KEYS.filter(({ path }) => path.length === 1).map(({ path }) => path[0]))
  for (const { path, defaultValue, isSection } of CONFIG_KEYS) {
    if (defaultValue === undefined && !isSection) delete at(shown, path.slice(0, -1))?.[path.at(-1)!]
  }
  expect(defaultConfig(shown)).toEqual(defaultConfig())
})

test('given keys are set', () => {
  expect(parse(exampleConfig({ server_name: 'example.org' })).server_name).toBe('example.org')
})

type Tree = { [key: string]: Tree }

function at(tree: Tree, path: readonly string[]): Tree | undefined {
  return path.reduce<Tree | undefined>((inner, step) => inner?.[step], tree)
}
