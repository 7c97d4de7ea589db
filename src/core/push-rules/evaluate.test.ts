import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../pdu.ts'
import { compileRuleset, rulesForType } from './compile-ruleset.ts'
import { evaluatePushRules } from './evaluate.ts'
import { type PreparedEvent, type PushEvent, prepareEvent } from './prepare-event.ts'
import type { PushCondition, PushRule, PushRuleset } from './push-rule.ts'

const me = '@me:x'
const message: PushEvent = {
  event_id: '$e',
  room_id: '!Room:x',
  sender: '@other:x',
  type: 'm.room.message',
  content: {
    body: 'It is time for Tea',
    n: 1,
    f: 1.5,
    yes: true,
    none: null,
    list: ['a', 1, null, 1.5],
    'm.x': { y: 'Z' },
    o: {},
  },
}
const prepare = (event: Partial<PushEvent>, room: Partial<PreparedEvent> = {}) =>
  prepareEvent({
    event: { ...message, ...event },
    memberCount: 3,
    senderPowerLevel: 0,
    notificationLevel: () => 50,
    ...room,
  })

const rule = (rule_id: string, more: Partial<PushRule> = {}): PushRule => ({
  rule_id,
  default: false,
  enabled: true,
  actions: ['notify', { set_tweak: 'sound', value: rule_id }],
  ...more,
})
const noRules: PushRuleset = { override: [], content: [], postcontent: [], room: [], sender: [], underride: [] }

/** The id of the matching rule. */
function chosen(
  rules: Partial<PushRuleset>,
  event = prepare({}),
  displayName?: string,
  steps = 1000,
): string | undefined {
  const user = { rules: compileRuleset({ ...noRules, ...rules }, me), userId: me, displayName }
  return evaluatePushRules({ ...user, event, steps }).sound
}
const meets = (condition: PushCondition, event?: PreparedEvent, displayName?: string) =>
  chosen({ underride: [rule('it', { conditions: [condition] })] }, event, displayName) === 'it'

describe('thread_subscription', () => {
  const condition = (subscribed: unknown) => ({ kind: 'io.element.msc4306.thread_subscription', subscribed })
  const inThread = (...threadSubscribers: string[]) => prepare({}, { threadSubscribers: new Set(threadSubscribers) })
  it('asks whether the user follows the thread, and holds for nothing outside threads', () => {
    expect([true, false].map((value) => meets(condition(value), inThread(me)))).toEqual([true, false])
    expect([true, false].map((value) => meets(condition(value), inThread('@other:x')))).toEqual([false, true])
    expect([true, false, 'yes'].map((value) => meets(condition(value)))).toEqual([false, false, false])
  })

  it('comes after words and before rooms', () => {
    const rules = {
      content: [rule('word', { pattern: 'tea' })],
      postcontent: [rule('thread', { conditions: [condition(true)] })],
      room: [rule('!Room:x')],
    }
    expect(chosen(rules, inThread(me))).toBe('word')
    expect(chosen({ ...rules, content: [] }, inThread(me))).toBe('thread')
    expect(chosen(rules, prepare({ content: { body: 'x' } }))).toBe('!Room:x')
  })
})

describe('event_match', () => {
  it.each<[string, string, boolean]>([
    ['type', 'm.room.message', true],
    ['type', 'M.Room.*', true],
    ['type', 'm.room', false],
    ['room_id', '!room:x', true],
    ['sender', '@other:?', true],
    ['content.m\\.x.y', 'z', true],
    ['content.m.x.y', 'z', false],
    ['content.n', '*', false],
    ['content.none', '*', false],
    ['content.o', '*', false],
    ['content.missing', '*', false],
    ['state_key', '', false],
    ['state_key', '*', false],
    ['content.body', 'tea', true],
    ['content.body', 'te?', true],
    ['content.body', 'time*tea', true],
    ['content.body', 'te', false],
    ['content.body', 'It is', true],
    ['content.m\\.x', '*', false],
  ])('%s, %s: %j', (key, pattern, expected) => {
    expect(meets({ kind: 'event_match', key, pattern })).toBe(expected)
  })

  it('matches an empty state key with an empty pattern', () => {
    expect(meets({ kind: 'event_match', key: 'state_key', pattern: '' }, prepare({ state_key: '' }))).toBe(true)
    expect(meets({ kind: 'event_match', key: 'state_key', pattern: '' }, prepare({ state_key: 'x' }))).toBe(false)
  })

  it.each([
    [me, true],
    ['@Me:x', true],
    ['@you:x', false],
    ['@me:xx', false],
  ])('asks for the own user id: %s', (state_key, expected) => {
    expect(meets({ kind: 'event_match', key: 'state_key', pattern: me }, prepare({ state_key }))).toBe(expected)
  })
})

describe('event_property_is', () => {
  it.each<[string, unknown, boolean]>([
    ['content.yes', true, true],
    ['content.yes', 'true', false],
    ['content.yes', 1, false],
    ['content.n', 1, true],
    ['content.n', '1', false],
    ['content.f', 1.5, false],
    ['content.none', null, true],
    ['content.missing', null, false],
    ['content.m\\.x.y', 'Z', true],
    ['content.m\\.x.y', 'z', false],
    ['type', 'm.room.message', true],
    ['type', 'm.room.Message', false],
    ['content.o', {}, false],
  ])('%s is %j: %j', (key, value, expected) => {
    expect(meets({ kind: 'event_property_is', key, value })).toBe(expected)
  })
})

describe('event_property_contains', () => {
  it.each<[string, unknown, boolean]>([
    ['content.list', 'a', true],
    ['content.list', 'A', false],
    ['content.list', 1, true],
    ['content.list', '1', false],
    ['content.list', null, true],
    ['content.list', 1.5, false],
    ['content.list', true, false],
    ['content.body', 'I', false],
    ['content.missing', null, false],
  ])('%s contains %j: %j', (key, value, expected) => {
    expect(meets({ kind: 'event_property_contains', key, value })).toBe(expected)
  })
})

describe('contains_display_name', () => {
  it.each([
    ['hello Alice!', 'alice', true],
    ['hello malice!', 'alice', false],
    ['hello A. L*ce', 'a. l*ce', true],
    ['hello A. Lxce', 'a. l*ce', false],
    ['hello', '', false],
    ['hello', undefined, false],
  ])('%j, %j: %j', (body, displayName, expected) => {
    expect(meets({ kind: 'contains_display_name' }, prepare({ content: { body } }), displayName)).toBe(expected)
  })

  it('needs a body', () => {
    expect(meets({ kind: 'contains_display_name' }, prepare({ content: { body: 1 } }), '1')).toBe(false)
  })
})

describe('room_member_count', () => {
  it.each([
    ['3', true],
    ['==3', true],
    ['2', false],
    ['<3', false],
    ['<4', true],
    ['>3', false],
    ['>2', true],
    ['<=3', true],
    ['<=2', false],
    ['>=3', true],
    ['>=4', false],
    ['', false],
    ['=3', false],
    ['three', false],
    ['>= 3', false],
    ['3.0', false],
  ])('%s of 3: %j', (is, expected) => {
    expect(meets({ kind: 'room_member_count', is })).toBe(expected)
  })
})

describe('sender_notification_permission', () => {
  it.each([
    [49, 'room', false],
    [50, 'room', true],
    [Number.POSITIVE_INFINITY, 'room', true],
    [50, 'other', false],
  ])('power %d for %s: %j', (senderPowerLevel, key, expected) => {
    const notificationLevel = (name: string) => (name === 'room' ? 50 : 100)
    const event = prepare({}, { senderPowerLevel, notificationLevel })
    expect(meets({ kind: 'sender_notification_permission', key }, event)).toBe(expected)
  })
})

describe('conditions that cannot hold', () => {
  it.each<PushCondition>([
    { kind: 'org.example.unknown' },
    { kind: '' },
    { kind: 'event_match', key: 'type' },
    { kind: 'event_match', pattern: '*' },
    { kind: 'event_property_is', key: 'content.missing' },
    { kind: 'event_property_contains', value: 'a' },
    { kind: 'room_member_count' },
    { kind: 'sender_notification_permission' },
  ])('%j', (condition) => {
    expect(meets(condition)).toBe(false)
  })
})

describe('evaluatePushRules', () => {
  const body: PushCondition = { kind: 'event_match', key: 'content.body', pattern: 'tea' }

  it('wants all conditions of a rule, and takes a rule without any', () => {
    const wrong: PushCondition = { kind: 'event_match', key: 'type', pattern: 'other' }
    expect(
      chosen({ override: [rule('both', { conditions: [body, wrong] }), rule('next', { conditions: [body] })] }),
    ).toBe('next')
    expect(chosen({ override: [rule('empty', { conditions: [] })] })).toBe('empty')
    expect(chosen({ underride: [rule('without')] })).toBe('without')
  })

  it('asks the kinds in their order', () => {
    const all: PushRuleset = {
      override: [rule('override')],
      content: [rule('content', { pattern: 'tea' })],
      postcontent: [rule('postcontent')],
      room: [rule('!Room:x')],
      sender: [rule('@other:x')],
      underride: [rule('underride')],
    }
    for (const expected of ['override', 'content', 'postcontent', '!Room:x', '@other:x', 'underride', undefined]) {
      expect(chosen(all)).toBe(expected)
      for (const kind of ['override', 'content', 'postcontent', 'room', 'sender', 'underride'] as const) {
        if (all[kind][0]?.rule_id === expected) all[kind] = []
      }
    }
  })

  it('takes the first of a kind', () => {
    expect(chosen({ content: [rule('tea', { pattern: 'tea' }), rule('time', { pattern: 'time' })] })).toBe('tea')
    expect(chosen({ content: [rule('coffee', { pattern: 'coffee' }), rule('time', { pattern: 'TIME' })] })).toBe('time')
  })

  it('passes over disabled rules', () => {
    const disabled = { enabled: false, pattern: 'tea' }
    const rules = { override: [rule('a', disabled)], content: [rule('b', disabled)], room: [rule('!Room:x', disabled)] }
    expect(chosen({ ...rules, sender: [rule('@other:x', disabled)], underride: [rule('c')] })).toBe('c')
  })

  it('stops at a rule without actions', () => {
    expect(chosen({ room: [rule('!Room:x', { actions: [] })], underride: [rule('underride')] })).toBeUndefined()
  })

  it('takes room and sender rules by exact id', () => {
    expect(chosen({ room: [rule('!room:x')], sender: [rule('@Other:x')] })).toBeUndefined()
  })

  it('has no content rule for an event without body', () => {
    expect(chosen({ content: [rule('any', { pattern: '*' })] }, prepare({ content: {} }))).toBeUndefined()
  })

  it('says nothing of what the user sent', () => {
    expect(chosen({ override: [rule('override')] }, prepare({ sender: me }))).toBeUndefined()
  })

  it('serves many users from one ruleset and one event', () => {
    const mention: PushCondition = { kind: 'event_property_contains', key: 'content.users', value: me }
    const rules = compileRuleset({ ...noRules, override: [rule('mention', { conditions: [mention] })] }, me)
    const event = prepare({ content: { users: ['@a:x', '@b:x'] } })
    const notified = ['@a:x', '@b:x', '@c:x', me].filter(
      (userId) => evaluatePushRules({ rules, event, userId, steps: 10 }).notify,
    )
    expect(notified).toEqual(['@a:x', '@b:x'])
  })

  it('passes over the user’s rules with conditions once the steps are used up, and over no others', () => {
    const long = prepare({ content: { body: `${'-'.repeat(500)}tea` } })
    const rules = {
      content: [rule('coffee', { pattern: 'coffee' }), rule('tea', { pattern: 'tea' })],
      underride: [rule('default', { default: true, conditions: [body] })],
    }
    const chosenIn = (steps: number, more: Partial<PushRuleset> = {}) => chosen({ ...rules, ...more }, long, '', steps)
    expect(chosenIn(1020)).toBe('tea')
    expect(chosenIn(1000)).toBe('default')
    expect(chosenIn(1000, { room: [rule('!Room:x')] })).toBe('!Room:x')
    expect(chosenIn(0, { override: [rule('own')] })).toBe('own')
    expect(chosenIn(0, { override: [rule('own', { conditions: [body] })] })).toBe('default')
  })

  it('counts every condition, whether or not it has a pattern', () => {
    const conditions = Array.from({ length: 100 }, () => ({ kind: 'room_member_count', is: '3' }))
    expect(chosen({ override: [rule('many', { conditions })] }, prepare({}), '', 100)).toBe('many')
    expect(chosen({ override: [rule('many', { conditions })] }, prepare({}), '', 99)).toBeUndefined()
  })

  it('looks at no more of a long message than there are steps, whatever the patterns are', () => {
    const event = prepare({ content: { body: 'a'.repeat(63_000) } })
    const patterns = [`*?${'a'.repeat(200)}b*`, `${'a'.repeat(4000)}b`, `${'a*'.repeat(1000)}b`, 'b']
    const content = Array.from({ length: 2000 }, (_, i) => rule(`${i}`, { pattern: patterns[i % patterns.length]! }))
    const [first] = compileRuleset({ ...noRules, content }, me).content
    const work = { left: 10_000 }
    expect(first!.conditions[0]!(event, { userId: me }, work)).toBe(false)
    expect(work.left).toBeGreaterThan(-10)
    expect(chosen({ content, underride: [rule('last', { default: true })] }, event, '', 10_000)).toBe('last')
  })

  it('does not keep what every rule of every user asks for with the event', () => {
    const event = prepare({})
    for (let i = 0; i < 1000; i += 1) meets({ kind: 'event_property_is', key: `content.${i}`, value: 1 }, event)
    expect(event.properties.size).toBeLessThanOrEqual(256)
  })

  it('does not keep every type that it was ever asked about', () => {
    const rules = compileRuleset({ ...noRules, override: [rule('any')] }, me)
    for (let i = 0; i < 1000; i += 1) rulesForType(rules, `type.${i}`)
    expect(rules.byType.size).toBeLessThanOrEqual(64)
  })

  it('never throws', () => {
    const name = fc.constantFrom(
      'content',
      'body',
      'type',
      'a',
      '__proto__',
      'm.mentions',
      'kind',
      'key',
      'is',
      'pattern',
      'value',
    )
    const kind = fc.constantFrom(
      'event_match',
      'event_property_is',
      'event_property_contains',
      'room_member_count',
      'x',
    )
    const key = fc.constantFrom('content.body', 'content.a', 'content.__proto__', 'content.a.a', 'type', '', '\\')
    const condition = fc.record(
      { kind, key, pattern: fc.string(), value: fc.jsonValue(), is: fc.string() },
      { requiredKeys: ['kind'] },
    )
    const rules = fc.array(condition).map((conditions) => [rule('r', { conditions })])
    fc.assert(
      fc.property(
        rules,
        rules,
        fc.dictionary(name, fc.jsonValue()),
        fc.string(),
        (override, underride, content, displayName) => {
          const event = prepare({ content: content as JsonObject })
          const ruleset = compileRuleset({ ...noRules, override, underride }, me)
          evaluatePushRules({ rules: ruleset, event, userId: me, displayName, steps: 1000 })
        },
      ),
    )
  })
})
