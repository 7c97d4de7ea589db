import type { z } from 'zod'
import { CONFIG_KEYS, keysInside } from './keys.ts'
import { nearest } from './nearest.ts'

/** Returns the source of the value at a path, such as `hearth.yaml:12` or the name of an environment variable. */
export type Locate = (path: readonly PropertyKey[]) => string

/** Returns one line about a value, such as "hearth.yaml:3: log.level: expected …". */
export function problemAt(locate: Locate, path: readonly PropertyKey[], message: string): string {
  return `${locate(path)}: ${path.join('.')}: ${message}`
}

/** Returns one line for each problem that zod found. */
export function describeIssue(issue: z.core.$ZodIssue, locate: Locate): string[] {
  if (issue.code !== 'unrecognized_keys') return [problemAt(locate, issue.path, plainMessage(issue))]
  return issue.keys.map((key) => {
    const meant = nearestKey(issue.path, key)
    return problemAt(locate, [...issue.path, key], `unknown key${meant ? `; did you mean ${meant}?` : ''}`)
  })
}

/** Returns a similar key of the same section or else of another section. */
function nearestKey(section: readonly PropertyKey[], key: string): string | undefined {
  const sibling = nearest(key, keysInside(section))
  if (sibling) return [...section, sibling].join('.')
  const elsewhere = nearest(
    key,
    CONFIG_KEYS.map(({ path }) => path.at(-1)!),
  )
  return CONFIG_KEYS.find(({ path }) => path.at(-1) === elsewhere)?.path.join('.')
}

function plainMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) return 'is missing'
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options))
    return `expected one of ${issue.options.map((option) => JSON.stringify(option)).join('|')}`
  const message = issue.message.replace(/^Invalid (input|option): /, '')
  return message.replace('expected boolean', 'expected true or false')
}
