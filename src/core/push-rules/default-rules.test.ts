import { describe, expect, it } from 'vitest'
import { compiledDefaultRuleset } from './compile-ruleset.ts'
import { defaultPushRules } from './default-rules.ts'
import { evaluatePushRules } from './evaluate.ts'
import { type PushEvent, prepareEvent } from './prepare-event.ts'
import type { PushVerdict } from './verdict.ts'

const me = '@me:x'

function judge(event: Partial<PushEvent>, room: { memberCount?: number; senderPowerLevel?: number } = {}): PushVerdict {
  const prepared = prepareEvent({
    event: {
      event_id: '$e',
      room_id: '!r:x',
      sender: '@other:x',
      type: 'm.room.message',
      content: { body: 'hi' },
      ...event,
    },
    memberCount: 5,
    senderPowerLevel: 0,
    notificationLevel: () => 50,
    ...room,
  })
  return evaluatePushRules({
    rules: compiledDefaultRuleset,
    event: prepared,
    userId: me,
    displayName: 'Miss Me',
    steps: 1000,
  })
}

/** Formats a verdict, such as `notify sound highlight`. */
const said = ({ notify, sound, highlight }: PushVerdict) =>
  [notify && 'notify', sound, highlight && 'highlight'].filter(Boolean).join(' ')

describe('defaultPushRules', () => {
  it('are those of the specification, in its order', () => {
    const rules = defaultPushRules(me)
    const ids = (kind: 'override' | 'underride') => rules[kind].map(({ rule_id }) => rule_id)
    expect(ids('override')).toEqual([
      '.m.rule.master',
      '.m.rule.suppress_notices',
      '.m.rule.invite_for_me',
      '.m.rule.member_event',
      '.org.matrix.msc4075.rule.rtc.invite_for_me',
      '.m.rule.is_user_mention',
      '.m.rule.contains_display_name',
      '.org.matrix.msc4075.rule.rtc.invite_for_room',
      '.m.rule.is_room_mention',
      '.m.rule.tombstone',
      '.m.rule.reaction',
      '.m.rule.room.server_acl',
      '.org.matrix.msc3930.rule.poll_response',
      '.m.rule.suppress_edits',
    ])
    expect(ids('underride')).toEqual([
      '.m.rule.call',
      '.m.rule.encrypted_room_one_to_one',
      '.m.rule.room_one_to_one',
      '.m.rule.message',
      '.m.rule.encrypted',
      '.org.matrix.msc3930.rule.poll_start_one_to_one',
      '.org.matrix.msc3930.rule.poll_start',
      '.org.matrix.msc3930.rule.poll_end_one_to_one',
      '.org.matrix.msc3930.rule.poll_end',
    ])
    expect(rules.content.map(({ rule_id, pattern }) => [rule_id, pattern])).toEqual([
      ['.m.rule.contains_user_name', 'me'],
    ])
    expect([rules.room, rules.sender]).toEqual([[], []])
  })

  it('leave threads without a subscription as they are, until a client asks otherwise', () => {
    expect(defaultPushRules(me).postcontent.map(({ rule_id, enabled }) => [rule_id, enabled])).toEqual([
      ['.io.element.msc4306.rule.unsubscribed_thread', false],
      ['.io.element.msc4306.rule.subscribed_thread', true],
    ])
  })

  it('are marked as default, and all but two are enabled', () => {
    const rules = Object.values(defaultPushRules(me)).flat()
    expect(rules.every((rule) => rule.default && rule.rule_id.startsWith('.'))).toBe(true)
    expect(rules.filter((rule) => !rule.enabled).map(({ rule_id }) => rule_id)).toEqual([
      '.m.rule.master',
      '.io.element.msc4306.rule.unsubscribed_thread',
    ])
  })

  it('name the user', () => {
    const rules = defaultPushRules(me).override
    expect(rules[2]?.conditions?.[2]).toEqual({ kind: 'event_match', key: 'state_key', pattern: me })
    expect(rules[5]?.conditions).toEqual([
      { kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: me },
    ])
  })
})

describe('the default rules on', () => {
  const edit = { rel_type: 'm.replace', event_id: '$o' }
  it.each<[string, Partial<PushEvent>, { memberCount?: number; senderPowerLevel?: number }, string]>([
    ['a message', {}, {}, 'notify'],
    ['a message between two', {}, { memberCount: 2 }, 'notify default'],
    ['an encrypted message', { type: 'm.room.encrypted', content: {} }, {}, 'notify'],
    [
      'an encrypted message between two',
      { type: 'm.room.encrypted', content: {} },
      { memberCount: 2 },
      'notify default',
    ],
    [
      'a call that mentions me',
      { type: 'org.matrix.msc4075.rtc.notification', content: { 'm.mentions': { user_ids: [me] } } },
      {},
      'notify ring',
    ],
    [
      'a call of the room',
      { type: 'org.matrix.msc4075.rtc.notification', content: { 'm.mentions': { room: true } } },
      { senderPowerLevel: 50 },
      'notify ring',
    ],
    [
      'a call of the room by a user who may not notify it',
      { type: 'org.matrix.msc4075.rtc.notification', content: { 'm.mentions': { room: true } } },
      {},
      '',
    ],
    ['a call that mentions nobody', { type: 'org.matrix.msc4075.rtc.notification', content: {} }, {}, ''],
    [
      'a declined call',
      { type: 'org.matrix.msc4310.rtc.decline', content: { 'm.relates_to': { rel_type: 'm.reference' } } },
      { memberCount: 2 },
      '',
    ],
    ['a message of one’s own', { sender: me }, {}, ''],
    ['a notice', { content: { msgtype: 'm.notice', body: 'hi' } }, {}, ''],
    ['an edit', { content: { 'm.relates_to': edit } }, { memberCount: 2 }, ''],
    [
      'an edit that mentions me',
      { content: { 'm.relates_to': edit, 'm.mentions': { user_ids: [me] } } },
      {},
      'notify default highlight',
    ],
    ['a mention', { content: { 'm.mentions': { user_ids: ['@a:x', me] } } }, {}, 'notify default highlight'],
    [
      'a mention in an encrypted message',
      { type: 'm.room.encrypted', content: { 'm.mentions': { user_ids: [me] } } },
      {},
      'notify default highlight',
    ],
    ['a mention of another', { content: { 'm.mentions': { user_ids: ['@me:xx'] } } }, {}, 'notify'],
    ['a mention that is no list', { content: { 'm.mentions': { user_ids: me } } }, {}, 'notify'],
    [
      'a room mention by a moderator',
      { content: { 'm.mentions': { room: true } } },
      { senderPowerLevel: 50 },
      'notify highlight',
    ],
    ['a room mention by a member', { content: { 'm.mentions': { room: true } } }, { senderPowerLevel: 49 }, 'notify'],
    [
      'a room mention that is no boolean',
      { content: { 'm.mentions': { room: 'true' } } },
      { senderPowerLevel: 100 },
      'notify',
    ],
    ['my name in the body alone', { content: { body: 'hi @ME:x' } }, {}, 'notify default highlight'],
    ['my display name in the body alone', { content: { body: 'hi miss me-myself' } }, {}, 'notify default highlight'],
    ['my name inside a word', { content: { body: 'some meat' } }, {}, 'notify'],
    ['my name beside a mention of another', { content: { body: 'me', 'm.mentions': {} } }, {}, 'notify'],
    ['@room in the body alone', { content: { body: '@room' } }, { senderPowerLevel: 100 }, 'notify'],
    [
      'an invite for me',
      { type: 'm.room.member', state_key: me, content: { membership: 'invite' } },
      {},
      'notify default',
    ],
    ['an invite for another', { type: 'm.room.member', state_key: '@b:x', content: { membership: 'invite' } }, {}, ''],
    ['being banned', { type: 'm.room.member', state_key: me, content: { membership: 'ban' } }, { memberCount: 2 }, ''],
    ['a tombstone', { type: 'm.room.tombstone', state_key: '', content: {} }, {}, 'notify highlight'],
    ['a tombstone that is no state', { type: 'm.room.tombstone', content: {} }, {}, ''],
    ['a reaction', { type: 'm.reaction', content: {} }, { memberCount: 2 }, ''],
    ['a server ACL', { type: 'm.room.server_acl', state_key: '', content: {} }, {}, ''],
    ['a call', { type: 'm.call.invite', content: {} }, {}, 'notify ring'],
    ['a poll', { type: 'org.matrix.msc3381.poll.start', content: {} }, {}, 'notify'],
    [
      'a poll between two',
      { type: 'org.matrix.msc3381.poll.start', content: {} },
      { memberCount: 2 },
      'notify default',
    ],
    ['the end of a poll', { type: 'org.matrix.msc3381.poll.end', content: {} }, {}, 'notify'],
    [
      'the end of a poll between two',
      { type: 'org.matrix.msc3381.poll.end', content: {} },
      { memberCount: 2 },
      'notify default',
    ],
    ['a vote', { type: 'org.matrix.msc3381.poll.response', content: {} }, { memberCount: 2 }, ''],
    ['a topic', { type: 'm.room.topic', state_key: '', content: {} }, {}, ''],
    ['a redaction', { type: 'm.room.redaction', redacts: '$x', content: {} }, { memberCount: 2 }, ''],
  ])('%s', (_what, event, room, expected) => {
    expect(said(judge(event, room))).toBe(expected)
  })
})
