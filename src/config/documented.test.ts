import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from './schema.ts'

const DOCUMENTS = [
  'README.md',
  'docs/sign-in.md',
  'docs/identity-providers.md',
  'docs/registration.md',
  'docs/administration.md',
  'docs/operations.md',
  'docs/calls.md',
]

const examples = DOCUMENTS.flatMap((file) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8')
  return [...text.matchAll(/^( *)```yaml\n(.*?)^ *```$/gms)].map(([, indent = '', yaml = ''], index) => ({
    name: `${file}, example ${index + 1}`,
    yaml: yaml.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
})

test('there are examples', () => {
  expect(examples.length).toBeGreaterThan(8)
})

test.each(examples)('$name is a valid configuration', ({ yaml }) => {
  expect(configSchema.safeParse(parse(yaml)).error?.issues).toBeUndefined()
})
