import { describe, expect, it } from 'vitest'
import type { PushAction } from './push-rule.ts'
import { verdictOf } from './verdict.ts'

describe('verdictOf', () => {
  const notify = { notify: true, highlight: false, tweaks: {} }
  it.each<[PushAction[], object]>([
    [[], { notify: false, actions: [] }],
    [['dont_notify'], { notify: false, actions: [] }],
    [['coalesce'], { notify: false, actions: [] }],
    [['notify'], notify],
    [['notify', 'coalesce', 'dont_notify'], { ...notify, actions: ['notify'] }],
    [[{ set_tweak: 'highlight' }], { notify: false, highlight: false, actions: [] }],
    [['notify', { set_tweak: 'highlight' }], { ...notify, highlight: true, tweaks: { highlight: true } }],
    [['notify', { set_tweak: 'highlight', value: false }], { ...notify, tweaks: { highlight: false } }],
    [['notify', { set_tweak: 'sound', value: 'ring' }], { ...notify, sound: 'ring', tweaks: { sound: 'ring' } }],
    [['notify', { set_tweak: 'sound', value: 7 }], { ...notify, tweaks: { sound: 7 } }],
    [['notify', { set_tweak: 'light', value: { colour: 'red' } }], { ...notify, tweaks: { light: { colour: 'red' } } }],
    [
      ['notify', { set_tweak: 'sound', value: 'a' }, { set_tweak: 'sound', value: 'b' }],
      { ...notify, sound: 'b', tweaks: { sound: 'b' } },
    ],
  ])('%j', (actions, verdict) => {
    expect(verdictOf(actions)).toMatchObject(verdict)
    expect(Object.keys(verdictOf(actions).tweaks)).toEqual(Object.keys((verdict as { tweaks?: object }).tweaks ?? {}))
  })
})
