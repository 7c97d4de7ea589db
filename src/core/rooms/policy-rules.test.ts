import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { compilePolicyRules, createPolicyRules } from './policy-rules.ts'

const rule = (subject: string, entity: unknown, more: object = {}) => ({
  type: `m.policy.rule.${subject}`,
  content: { entity: entity as string, recommendation: 'm.ban', ...more },
})

test('bans are found by name, by glob and by hash', () => {
  const sha256 = createHash('sha256').update('!hidden:x').digest('base64')
  const { findBan, size } = compilePolicyRules([
    rule('user', '@spam:x', { reason: 'spam' }),
    rule('user', '@bot-*:*'),
    rule('server', '*.evil.example', { reason: 'evil' }),
    { type: 'm.policy.rule.room', content: { recommendation: 'm.ban', 'org.matrix.msc4205.hashes': { sha256 } } },
    { type: 'org.matrix.mjolnir.rule.user', content: { entity: '@old:x', recommendation: 'org.matrix.mjolnir.ban' } },
    { type: 'm.room.rule.user', content: { entity: '@older:x', recommendation: 'm.ban' } },
    rule('room', '!gone:x', { recommendation: 'org.matrix.msc4204.takedown' }),
    rule('user', '@fine:x', { recommendation: 'org.example.praise' }),
    rule('user', 7),
    rule('user', '@long:'.padEnd(10_000, 'x')),
    { type: 'm.room.topic', content: { entity: '@topic:x', recommendation: 'm.ban' } },
  ])
  expect(size).toBe(7)
  expect(['@spam:x', '@bot-1:y', '@old:x', '@older:x', '@fine:x', '@topic:x'].map((id) => findBan('user', id))).toEqual(
    [...['spam', '', '', '', undefined, undefined]],
  )
  expect([findBan('server', 'a.evil.example'), findBan('server', 'evil.example')]).toEqual(['evil', undefined])
  expect(['!hidden:x', '!gone:x', '@spam:x'].map((id) => findBan('room', id))).toEqual(['', '', undefined])
})

test('many rules and hostile globs are quick', () => {
  const globs = Array.from({ length: 20_000 }, (_, place) => rule('user', `${'*a?'.repeat(15)}${place % 10}`))
  const names = Array.from({ length: 100_000 }, (_, place) => rule('user', `@spam${place}:x`))
  const began = process.cpuUsage()
  const { findBan, size, ignored } = compilePolicyRules([...names, ...globs, rule('user', '*?'.repeat(100))])
  expect([size, ignored]).toEqual([110_000, 10_001])
  expect(findBan('user', '@spam99999:x')).toBe('')
  expect(findBan('user', `@${'a'.repeat(250)}:x`)).toBeUndefined()
  for (let again = 0; again < 1000; again++) findBan('user', `@${'a'.repeat(250)}:x`)
  const { user } = process.cpuUsage(began)
  expect(user / 1000).toBeLessThan(5000)
})

test('what rules keep in memory is bounded, however long their reasons are', () => {
  const { add, rules } = createPolicyRules()
  for (let place = 0; place < 150_000; place++) add(rule('user', `@s${place}:x`, { reason: 'y'.repeat(1000) }))
  expect(rules.size + rules.ignored).toBe(150_000)
  expect(rules.ignored).toBeGreaterThan(10_000)
  expect(rules.findBan('user', '@s1:x')).toHaveLength(500)
})
