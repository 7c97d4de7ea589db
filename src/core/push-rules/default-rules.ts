import type { PushAction, PushCondition, PushRule, PushRuleset } from './push-rule.ts'

/**
 * Returns the server-default rules of a user: https://spec.matrix.org/v1.19/client-server-api/#predefined-rules, and
 * those of proposals: polls (MSC3930), threads (MSC4306) and calls (MSC4075), under the names and event types that
 * clients use.
 * The two rules that match the user's names were removed from the specification (since m.mentions), but IRC bridges and
 * old clients have no other mentions: see `NAME_RULES`.
 */
export function defaultPushRules(userId: string): PushRuleset {
  return {
    override: overrideRules(userId),
    content: [userNameRule(userId)],
    postcontent: threadRules(),
    room: [],
    sender: [],
    underride: underrideRules(),
  }
}

/** Rules that match names in the body. They do not apply to events with `m.mentions`. */
export const NAME_RULES = { displayName: '.m.rule.contains_display_name', userName: '.m.rule.contains_user_name' }

const sound: PushAction = { set_tweak: 'sound', value: 'default' }
const highlight: PushAction = { set_tweak: 'highlight' }
const ring: PushAction = { set_tweak: 'sound', value: 'ring' }

function overrideRules(userId: string): PushRule[] {
  const mentionsUser = { kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: userId }
  const mentionsRoom = [
    { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
    { kind: 'sender_notification_permission', key: 'room' },
  ]
  // Clients send `notification`; later drafts of MSC4075 name it `invite`.
  const isCallInvite = isType('org.matrix.msc4075.rtc.*')
  return [
    { ...rule('.m.rule.master', [], []), enabled: false },
    rule('.m.rule.suppress_notices', [eventMatch('content.msgtype', 'm.notice')], []),
    rule(
      '.m.rule.invite_for_me',
      [isType('m.room.member'), eventMatch('content.membership', 'invite'), eventMatch('state_key', userId)],
      ['notify', sound],
    ),
    rule('.m.rule.member_event', [isType('m.room.member')], []),
    rule('.org.matrix.msc4075.rule.rtc.invite_for_me', [isCallInvite, mentionsUser], ['notify', ring]),
    rule('.m.rule.is_user_mention', [mentionsUser], ['notify', sound, highlight]),
    rule(NAME_RULES.displayName, [{ kind: 'contains_display_name' }], ['notify', sound, highlight]),
    rule('.org.matrix.msc4075.rule.rtc.invite_for_room', [isCallInvite, ...mentionsRoom], ['notify', ring]),
    rule('.m.rule.is_room_mention', mentionsRoom, ['notify', highlight]),
    rule('.m.rule.tombstone', [isType('m.room.tombstone'), eventMatch('state_key', '')], ['notify', highlight]),
    rule('.m.rule.reaction', [isType('m.reaction')], []),
    rule('.m.rule.room.server_acl', [isType('m.room.server_acl'), eventMatch('state_key', '')], []),
    rule('.org.matrix.msc3930.rule.poll_response', [isType('org.matrix.msc3381.poll.response')], []),
    rule(
      '.m.rule.suppress_edits',
      [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
      [],
    ),
  ]
}

/**
 * The rule that silences threads without a subscription needs a client that subscribes. Users of other clients would
 * miss every thread, so it is off until a client enables it.
 */
function threadRules(): PushRule[] {
  const isSubscribed = (subscribed: boolean) => ({ kind: 'io.element.msc4306.thread_subscription', subscribed })
  return [
    { ...rule('.io.element.msc4306.rule.unsubscribed_thread', [isSubscribed(false)], []), enabled: false },
    rule('.io.element.msc4306.rule.subscribed_thread', [isSubscribed(true)], ['notify', sound]),
  ]
}

function underrideRules(): PushRule[] {
  const oneToOne: PushCondition = { kind: 'room_member_count', is: '2' }
  const pollStart = isType('org.matrix.msc3381.poll.start')
  const pollEnd = isType('org.matrix.msc3381.poll.end')
  return [
    rule('.m.rule.call', [isType('m.call.invite')], ['notify', ring]),
    rule('.m.rule.encrypted_room_one_to_one', [oneToOne, isType('m.room.encrypted')], ['notify', sound]),
    rule('.m.rule.room_one_to_one', [oneToOne, isType('m.room.message')], ['notify', sound]),
    rule('.m.rule.message', [isType('m.room.message')], ['notify']),
    rule('.m.rule.encrypted', [isType('m.room.encrypted')], ['notify']),
    rule('.org.matrix.msc3930.rule.poll_start_one_to_one', [oneToOne, pollStart], ['notify', sound]),
    rule('.org.matrix.msc3930.rule.poll_start', [pollStart], ['notify']),
    rule('.org.matrix.msc3930.rule.poll_end_one_to_one', [oneToOne, pollEnd], ['notify', sound]),
    rule('.org.matrix.msc3930.rule.poll_end', [pollEnd], ['notify']),
  ]
}

function userNameRule(userId: string): PushRule {
  const { conditions: _, ...rest } = rule(NAME_RULES.userName, [], ['notify', sound, highlight])
  return { ...rest, pattern: userId.slice(1, userId.indexOf(':')) }
}

function rule(rule_id: string, conditions: PushCondition[], actions: PushAction[]): PushRule {
  return { rule_id, default: true, enabled: true, conditions, actions }
}

function isType(type: string): PushCondition {
  return eventMatch('type', type)
}

function eventMatch(key: string, pattern: string): PushCondition {
  return { kind: 'event_match', key, pattern }
}
