import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MatrixError } from '../errors.ts'
import { deletePushRule, findPushRule, putPushRule, setPushRuleActions, setPushRuleEnabled } from './edit-rules.ts'
import { effectiveRuleset } from './effective-ruleset.ts'
import { type CustomRuleKind, emptyOverlay, type PushRuleOverlay, pushRuleOverlay } from './rule-schema.ts'

const me = '@me:x'
const actions = ['notify']
const ids = (overlay: PushRuleOverlay, kind: CustomRuleKind = 'room') =>
  overlay.custom[kind].map(({ rule_id }) => rule_id)
const put = (overlay: PushRuleOverlay, ruleId: string, place: { before?: string; after?: string } = {}) =>
  putPushRule(overlay, { kind: 'room', ruleId, body: { actions }, ...place })
const abc = ['c', 'b', 'a'].reduce((overlay, id) => put(overlay, id), emptyOverlay)
const failure = (status: number, errcode: string) => expect.objectContaining({ status, errcode })

describe('putPushRule', () => {
  it('adds a rule, enabled, above the others', () => {
    expect(ids(abc)).toEqual(['a', 'b', 'c'])
    expect(abc.custom.room[0]).toEqual({ rule_id: 'a', enabled: true, actions })
    expect(emptyOverlay.custom.room).toEqual([])
  })

  it.each([
    ['new', {}, ['new', 'a', 'b', 'c']],
    ['new', { before: 'a' }, ['new', 'a', 'b', 'c']],
    ['new', { before: 'b' }, ['a', 'new', 'b', 'c']],
    ['new', { after: 'b' }, ['a', 'b', 'new', 'c']],
    ['new', { after: 'c' }, ['a', 'b', 'c', 'new']],
    ['new', { before: 'c', after: 'a' }, ['a', 'b', 'new', 'c']],
    ['c', {}, ['a', 'b', 'c']],
    ['c', { before: 'a' }, ['c', 'a', 'b']],
    ['a', { after: 'c' }, ['b', 'c', 'a']],
    ['a', { before: 'c' }, ['b', 'a', 'c']],
    ['b', { before: 'b' }, ['a', 'b', 'c']],
    ['b', { after: 'b' }, ['a', 'b', 'c']],
  ])('puts %s with %j', (ruleId, place, expected) => {
    expect(ids(put(abc, ruleId, place))).toEqual(expected)
  })

  it.each([
    [{ before: 'x' }],
    [{ after: 'x' }],
    [{ before: 'new' }],
    [{ before: '.m.rule.master' }],
    [{ before: 'x', after: 'a' }],
  ])('refuses a place that is none: %j', (place) => {
    expect(() => put(abc, 'new', place)).toThrow(failure(400, 'M_UNKNOWN'))
  })

  it('replaces a rule, leaving it disabled', () => {
    const disabled = setPushRuleEnabled(abc, { kind: 'room', ruleId: 'b', enabled: false })
    const replaced = putPushRule(disabled, { kind: 'room', ruleId: 'b', body: { actions: [] } })
    expect(replaced.custom.room[1]).toEqual({ rule_id: 'b', enabled: false, actions: [] })
  })

  const conditions = [{ kind: 'event_match', key: 'content.body', pattern: 'beer' }]
  it.each<[string, unknown, object]>([
    ['override', { actions, conditions }, { actions, conditions }],
    ['underride', { actions }, { actions, conditions: [] }],
    [
      'override',
      { actions, conditions: [{ kind: 'org.example.new', x: { y: [1] } }] },
      { conditions: [{ kind: 'org.example.new', x: { y: [1] } }] },
    ],
    ['content', { actions, pattern: 'cake*lie', conditions }, { actions, pattern: 'cake*lie' }],
    ['sender', { actions: ['dont_notify'] }, { actions: ['dont_notify'] }],
    [
      'room',
      { actions: ['notify', { set_tweak: 'sound', value: 'x', more: 1 }, { set_tweak: 'highlight' }], pattern: 1 },
      {},
    ],
  ])('takes for %s: %j', (kind, body, expected) => {
    const overlay = putPushRule(emptyOverlay, { kind, ruleId: 'id', body })
    const stored = overlay.custom[kind as CustomRuleKind][0]
    expect(stored).toMatchObject({ rule_id: 'id', enabled: true, ...expected })
    expect(stored).not.toHaveProperty(kind === 'content' ? 'conditions' : 'pattern')
    expect(pushRuleOverlay.parse(JSON.parse(JSON.stringify(overlay)))).toEqual(overlay)
  })

  it.each<[string, unknown]>([
    ['room', {}],
    ['room', undefined],
    ['room', null],
    ['room', []],
    ['room', { actions: 'notify' }],
    ['room', { actions: ['shout'] }],
    ['room', { actions: [{ sound: 'x' }] }],
    ['room', { actions: [{ set_tweak: 1 }] }],
    ['room', { actions: [null] }],
    ['content', { actions }],
    ['content', { actions, pattern: 1 }],
    ['override', { actions, conditions: {} }],
    ['override', { actions, conditions: [{}] }],
    ['override', { actions, conditions: ['event_match'] }],
    ['override', { actions, conditions: [{ kind: 'event_match', key: 'type' }] }],
    ['override', { actions, conditions: [{ kind: 'event_match', pattern: '' }] }],
    ['override', { actions, conditions: [{ kind: 'event_property_is', key: 'a' }] }],
    ['override', { actions, conditions: [{ kind: 'event_property_is', key: 'a', value: [] }] }],
    ['override', { actions, conditions: [{ kind: 'event_property_contains', key: 'a', value: 1.5 }] }],
    ['override', { actions, conditions: [{ kind: 'room_member_count', is: '=3' }] }],
    ['override', { actions, conditions: [{ kind: 'room_member_count', is: 3 }] }],
    ['underride', { actions, conditions: [{ kind: 'sender_notification_permission' }] }],
  ])('refuses for %s: %j', (kind, body) => {
    expect(() => putPushRule(emptyOverlay, { kind, ruleId: 'id', body })).toThrow(failure(400, 'M_BAD_JSON'))
  })

  it.each([['.m.rule.master'], ['.mine'], ['a/b'], ['a\\b'], ['']])('refuses the rule id %j', (ruleId) => {
    expect(() => put(emptyOverlay, ruleId)).toThrow(failure(400, 'M_INVALID_PARAM'))
  })

  it.each([['device'], [''], ['__proto__'], ['toString']])('refuses the kind %j', (kind) => {
    expect(() => putPushRule(emptyOverlay, { kind, ruleId: 'a', body: { actions } })).toThrow(
      failure(400, 'M_INVALID_PARAM'),
    )
  })

  it('refuses what is too much to keep or to evaluate', () => {
    const refusal = failure(413, 'M_TOO_LARGE')
    const large = {
      kind: 'override',
      ruleId: 'a',
      body: { actions, conditions: [{ kind: 'x', filler: 'y'.repeat(600_000) }] },
    }
    expect(() => putPushRule(emptyOverlay, large)).toThrow(refusal)
    const words = (ruleId: string) => ({ kind: 'content', ruleId, body: { actions, pattern: 'y'.repeat(5000) } })
    expect(() => putPushRule(putPushRule(emptyOverlay, words('a')), words('b'))).toThrow(refusal)
    const names = { actions, conditions: Array(100).fill({ kind: 'contains_display_name' }) }
    expect(() => putPushRule(emptyOverlay, { kind: 'override', ruleId: 'a', body: names })).toThrow(refusal)
  })

  it('refuses what is nested too deeply to be written', () => {
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i += 1) deep = [deep]
    const refusal = failure(400, 'M_BAD_JSON')
    const condition = { actions, conditions: [{ kind: 'x', deep }] }
    expect(() => putPushRule(emptyOverlay, { kind: 'override', ruleId: 'a', body: condition })).toThrow(refusal)
    const tweak = { actions: [{ set_tweak: 'x', value: deep }] }
    expect(() => putPushRule(emptyOverlay, { kind: 'room', ruleId: 'a', body: tweak })).toThrow(refusal)
  })
})

describe('setPushRuleEnabled and setPushRuleActions', () => {
  const message = { kind: 'underride', ruleId: '.m.rule.message' }

  it('change the user’s own rule', () => {
    const name = { kind: 'room', ruleId: 'b' }
    const changed = setPushRuleActions(setPushRuleEnabled(abc, { ...name, enabled: false }), { ...name, actions: [] })
    expect(findPushRule(effectiveRuleset(me, changed), name)).toEqual({
      rule_id: 'b',
      default: false,
      enabled: false,
      actions: [],
    })
  })

  it('change a default rule, each leaving the other alone', () => {
    const disabled = setPushRuleEnabled(emptyOverlay, { ...message, enabled: false })
    const silent = setPushRuleActions(disabled, { ...message, actions: [] })
    const enabled = setPushRuleEnabled(silent, { ...message, enabled: true })
    const read = (overlay: PushRuleOverlay) => findPushRule(effectiveRuleset(me, overlay), message)
    expect(read(disabled)).toMatchObject({ default: true, enabled: false, actions: ['notify'] })
    expect(read(silent)).toMatchObject({ default: true, enabled: false, actions: [] })
    expect(read(enabled)).toMatchObject({ default: true, enabled: true, actions: [] })
    expect(pushRuleOverlay.parse(JSON.parse(JSON.stringify(enabled)))).toEqual(enabled)
  })

  it.each([
    [{ kind: 'room', ruleId: 'x' }, failure(404, 'M_NOT_FOUND')],
    [{ kind: 'override', ruleId: '.m.rule.message' }, failure(404, 'M_NOT_FOUND')],
    [{ kind: 'underride', ruleId: '.m.rule.unheard_of' }, failure(404, 'M_NOT_FOUND')],
    [{ kind: 'nothing', ruleId: 'a' }, failure(400, 'M_INVALID_PARAM')],
  ])('know no %j', (name, error) => {
    expect(() => setPushRuleEnabled(abc, { ...name, enabled: true })).toThrow(error)
    expect(() => setPushRuleActions(abc, { ...name, actions })).toThrow(error)
    expect(() => findPushRule(effectiveRuleset(me, abc), name)).toThrow(error)
    expect(() => deletePushRule(abc, name)).toThrow(
      name.ruleId === '.m.rule.message' ? failure(404, 'M_NOT_FOUND') : error,
    )
  })

  it('take actions only', () => {
    for (const wrong of [undefined, 'notify', ['shout'], [1]]) {
      expect(() => setPushRuleActions(abc, { ...message, actions: wrong })).toThrow(failure(400, 'M_BAD_JSON'))
    }
  })
})

describe('deletePushRule', () => {
  it('deletes', () => {
    expect(ids(deletePushRule(abc, { kind: 'room', ruleId: 'b' }))).toEqual(['a', 'c'])
  })

  it('leaves default rules', () => {
    const name = { kind: 'override', ruleId: '.m.rule.master' }
    expect(() => deletePushRule(abc, name)).toThrow(failure(400, 'M_INVALID_PARAM'))
  })
})

describe('effectiveRuleset', () => {
  it('has the user’s rules above the default ones, but master above all', () => {
    const kinds = ['override', 'underride'] as const
    const overlay = kinds.reduce(
      (all, kind) => putPushRule(all, { kind, ruleId: 'mine', body: { actions } }),
      emptyOverlay,
    )
    const rules = effectiveRuleset(me, overlay)
    expect(rules.override.slice(0, 3).map(({ rule_id }) => rule_id)).toEqual([
      '.m.rule.master',
      'mine',
      '.m.rule.suppress_notices',
    ])
    expect(rules.underride.slice(0, 2).map(({ rule_id }) => rule_id)).toEqual(['mine', '.m.rule.call'])
    expect(rules.override[1]).toEqual({ rule_id: 'mine', default: false, enabled: true, actions, conditions: [] })
  })
})

describe('any sequence of edits', () => {
  const kind = fc.constantFrom('override', 'content', 'room', 'sender', 'underride', 'nothing')
  const ruleId = fc.constantFrom('a', 'b', '.m.rule.master', '.m.rule.message', '.x', '', '__proto__', 'a/b')
  const action = fc.constantFrom<unknown>(
    'notify',
    'dont_notify',
    'shout',
    { set_tweak: 'sound', value: 'x' },
    { set_tweak: 1 },
    null,
  )
  const condition = fc.record(
    { kind: fc.constantFrom('event_match', 'x'), key: fc.jsonValue(), pattern: fc.string() },
    { requiredKeys: [] },
  )
  const body = fc.record(
    { actions: fc.array(action), conditions: fc.array(condition), pattern: fc.jsonValue() },
    { requiredKeys: [] },
  )
  const edit = fc.record({
    what: fc.nat(3),
    kind,
    ruleId,
    body,
    before: fc.option(ruleId, { nil: undefined }),
    enabled: fc.boolean(),
  })

  it('throws nothing but MatrixError, and leaves unique ids and a valid overlay', () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 20 }), (edits) => {
        let overlay = emptyOverlay
        for (const { what, ...given } of edits) {
          try {
            if (what === 0) overlay = putPushRule(overlay, given)
            else if (what === 1) overlay = setPushRuleEnabled(overlay, given)
            else if (what === 2) overlay = setPushRuleActions(overlay, { ...given, actions: given.body.actions })
            else overlay = deletePushRule(overlay, given)
          } catch (error) {
            expect(error).toBeInstanceOf(MatrixError)
          }
        }
        expect(pushRuleOverlay.parse(JSON.parse(JSON.stringify(overlay)))).toEqual(overlay)
        for (const rules of Object.values(effectiveRuleset(me, overlay))) {
          expect(new Set(rules.map(({ rule_id }) => rule_id)).size).toBe(rules.length)
        }
      }),
      { numRuns: 300 },
    )
  })
})
