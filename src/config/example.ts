import { stringify } from 'yaml'
import { CONFIG_KEYS, type ConfigKey } from './keys.ts'

const WIDTH = 100
const HEADER = `Hearth's configuration. Every key is optional. A key that is commented out shows its default, or an example if it has none. Use this file with: npm start -- --config FILE

Each key can also be set by an environment variable, which overrides this file: HEARTH_ and the key's path in capitals, such as HEARTH_SERVER_NAME or HEARTH_DATABASE_URL; lists are written as JSON.

Sizes are written like 512K, 50M or 1G; durations like 30s, 10m, 24h or 7d.`

/**
 * Returns the text of config.example.yaml: every key with its description and default, commented out; keys in `given`
 * are set.
 */
export function exampleConfig(given: Readonly<Record<string, string>> = {}): string {
  const blocks = CONFIG_KEYS.filter(hasLineOfItsOwn).map((key) => renderKey(key, given))
  return `${comment(HEADER, '').join('\n')}\n\n${blocks.join('\n')}`
}

/** A nested section with at most this many keys is written on one line. */
const SHORT = 2

function hasLineOfItsOwn({ path }: ConfigKey): boolean {
  return path.length <= 2 || membersOf(path.slice(0, -1)).length > SHORT
}

function membersOf(section: readonly string[]): ConfigKey[] {
  return CONFIG_KEYS.filter(
    ({ path }) => path.length === section.length + 1 && section.every((step, index) => path[index] === step),
  )
}

function renderKey(key: ConfigKey, given: Readonly<Record<string, string>>): string {
  const indent = '  '.repeat(key.path.length - 1)
  const name = key.path.at(-1)!
  const described = comment(key.description, indent)
  const isOpen = key.isSection && (key.path.length === 1 || membersOf(key.path).length > SHORT)
  const fixed = given[key.path.join('.')]
  const mark = isOpen || fixed !== undefined ? '' : '#'
  const lines = isOpen ? [`${name}:`] : assignment(name, fixed ?? shownValue(key))
  return `${[...described, ...lines.map((line) => `${indent}${mark}${line}`)].join('\n')}\n`
}

/** A list of objects has one line for each object. */
function assignment(name: string, value: unknown): string[] {
  if (!Array.isArray(value) || typeof value[0] !== 'object') return [`${name}: ${flow(value)}`]
  return [`${name}:`, ...value.map((element) => `  - ${flow(element)}`)]
}

/** A short section is written with all its members. */
function shownValue(key: ConfigKey): unknown {
  if (!key.isSection) return key.defaultValue ?? key.example
  return Object.fromEntries(membersOf(key.path).map(({ path, defaultValue }) => [path.at(-1), defaultValue]))
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: true }).trim()
}

function comment(text: string, indent: string): string[] {
  return text
    .split('\n')
    .flatMap((paragraph) => wrap(paragraph, WIDTH - indent.length).map((line) => `${indent}# ${line}`.trimEnd()))
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line.length + word.length + 3 > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
