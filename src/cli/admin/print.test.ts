import { expect, test, vi } from 'vitest'
import { columns, print } from './print.ts'

test('a description has no control characters that a terminal would obey', () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  const said = 'peer.test: \u001b[2J\u009b2J\rdone'
  print(said, { describe: (text) => `${columns(['name'], [['a\nb']])}\n${text}` })
  print(said, { json: true, describe: () => '' })
  const [described, json] = log.mock.calls.flat() as string[]
  log.mockRestore()
  expect(described).toBe('name\na b\npeer.test:  [2J 2J done')
  expect(JSON.parse(json!)).toBe(said)
})
