import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defaultConfig } from '../config.ts'
import { CONFIG_KEYS } from './keys.ts'

type Row = { limit: string; defaults: string; keys: string[] }
type Section = { [key: string]: number | Section }

const config = defaultConfig()
const security = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'security.md'), 'utf8')

/** The rows of the table in docs/security.md. A key such as `.users` shares the prefix of the one before it. */
const rows: Row[] = security
  .slice(security.indexOf('\n## Limits'))
  .split('\n')
  .filter((line) => /^\| (?!limit \||---)/.test(line))
  .map((line) => {
    const [, limit = '', defaults = '', names = ''] = line.split(/ ?\| ?/)
    const keys: string[] = []
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g))
      keys.push(name.startsWith('.') ? keys[0]!.replace(/\.[^.]+$/, name) : name)
    return { limit, defaults, keys }
  })

/** All numbers of a section of the configuration, by their full keys. */
function numbersOf(section: Section, prefix: string): [key: string, value: number][] {
  return Object.entries(section).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'object') return numbersOf(value, `${prefix}.${name}`)
    return typeof value === 'number' ? [[`${prefix}.${name}`, value]] : []
  })
}

/** The forms in which the table may write a default: a count, bytes or a duration. */
function forms(value: number): string[] {
  const amounts = [
    [1, ''],
    [1024, ' KiB'],
    [1024 ** 2, ' MiB'],
    [1024 ** 3, ' GiB'],
    [1000, ' s'],
    [60_000, ' min'],
    [3_600_000, ' h'],
    [86_400_000, ' days'],
  ] as const
  return amounts.flatMap(([unit, name]) =>
    value % unit === 0 ? `${(value / unit).toLocaleString('en-US')}${name}` : [],
  )
}

const isAmong = (defaults: string, form: string) =>
  new RegExp(`(^|[^\\d,.])${form}($|[^\\d,.]|[.,](\\D|$))`).test(defaults)

const LIMITS_OF_MEDIA = [
  'max_upload_size',
  'min_upload_rate',
  'max_concurrent_uploads',
  'max_image_pixels',
  'max_pending_uploads',
  'async_upload_expiry',
] as const
const LIMITS_OF_DATABASE = ['statement_timeout', 'lock_timeout', 'idle_transaction_timeout'] as const
const pick = <Key extends string>(section: Record<Key, number>, keys: readonly Key[]) =>
  Object.fromEntries(keys.map((key) => [key, section[key]]))

const configured = [
  ...numbersOf(config.limits, 'limits'),
  ...numbersOf(pick(config.media, LIMITS_OF_MEDIA), 'media'),
  ...numbersOf(pick(config.database, LIMITS_OF_DATABASE), 'database'),
  ...numbersOf(config.delayed_events, 'delayed_events'),
]

describe('the table of limits in docs/security.md', () => {
  test.each(configured)('has %s with its default, %d', (key, value) => {
    const row = rows.find(({ keys }) => keys.includes(key))
    expect(row, `a row for ${key}`).toBeDefined()
    expect(
      forms(value).some((form) => isAmong(row!.defaults, form)),
      `${value} in "${row!.defaults}"`,
    ).toBe(true)
  })

  test.each(Object.keys(config.rate_limits).filter((name) => name !== 'enabled'))('has rate_limits.%s', (name) => {
    expect(rows.flatMap(({ keys }) => keys)).toContain(`rate_limits.${name}`)
  })

  test('names no key that the configuration does not have', () => {
    const exists = (key: string) => CONFIG_KEYS.some(({ path }) => path.join('.') === key)
    expect(rows.flatMap(({ keys }) => keys).filter((key) => !exists(key))).toEqual([])
  })

  test('has a default, and a key or a dash, in each row', () => {
    for (const { limit, defaults, keys } of rows)
      expect([limit, defaults.length > 0 || keys.length === 0]).toEqual([limit, true])
    expect(rows.length).toBeGreaterThan(150)
  })
})
