import { type EventSample, loadEventSamples } from '../../testing/openapi/operations.ts'
import type { Draw } from './draw.ts'
import { hostileJson, hostileText, spoil } from './hostile-json.ts'
import { mutate } from './mutate.ts'
import { kindOfExample, referTo } from './references.ts'
import { generalise } from './schema-values.ts'

export type EventValue = { type: string; state_key?: string; content: unknown }

const NOT_OF_ROOMS = /^m\.(direct|push_rules|ignored_user_list|identity_server|tag|fully_read|receipt|typing|presence)$/

/** Content by type, with references in place of IDs: the specification's examples, and some from its text. */
const EXAMPLES: Record<string, EventSample[]> = {
  ...(generaliseAll(loadEventSamples()) as Record<string, EventSample[]>),
  'org.example.any': [{ content: { any: 1 } }],
  'm.room.aliases': [{ content: { aliases: [referTo('alias')] }, state_key: referTo('server') }],
  'm.room.retention': [{ content: { max_lifetime: 1000 }, state_key: '' }],
  'm.beacon_info': [{ content: { timeout: 1000, live: true }, state_key: referTo('user') }],
  'org.matrix.msc3401.call.member': [{ content: { 'm.calls': [] }, state_key: referTo('user') }],
  'm.poll.start': [
    { content: { 'm.poll': { question: { 'm.text': [{ body: 'tea?' }] }, answers: [{ 'm.id': 'a' }] } } },
  ],
}
const STATE = Object.keys(EXAMPLES).filter((type) => EXAMPLES[type]![0]!.state_key !== undefined)
const MESSAGES = Object.keys(EXAMPLES).filter((type) => !STATE.includes(type) && !NOT_OF_ROOMS.test(type))
/** Types that a room rarely gets, since they close it for all later requests. */
const CLOSING = ['m.room.server_acl', 'm.room.tombstone', 'm.room.power_levels', 'm.room.join_rules', 'm.room.member']
const ACCOUNT_DATA = ['m.direct', 'm.ignored_user_list', 'm.push_rules', 'm.identity_server', 'm.accepted_terms']

function generaliseAll(examples: Record<string, EventSample[]>): unknown {
  const all = Object.entries(examples).map(([type, each]) => [
    type,
    each.map(({ content, state_key: key }) => ({
      content: generalise(content),
      ...(key !== undefined && { state_key: kindOfExample(key) ? referTo(kindOfExample(key)!) : key }),
    })),
  ])
  return Object.fromEntries(all)
}

/** Draws a message of any type; every third relates to another event. */
export function drawMessage(draw: Draw): EventValue {
  const type = draw.happens(0.5) ? 'm.room.message' : draw.pick(MESSAGES)
  const { content } = draw.pick(EXAMPLES[type]!)
  return { type, content: draw.happens(0.35) ? { ...content, 'm.relates_to': drawRelation(draw) } : content }
}

/** Draws a state event of any type; those that close a room are rare. */
export function drawState(draw: Draw): EventValue {
  const types = draw.happens(0.15) ? CLOSING : STATE.filter((type) => !CLOSING.includes(type))
  const type = draw.pick(types)
  const example = draw.pick(EXAMPLES[type]!)
  return { type, state_key: example.state_key ?? '', content: openContent(draw, type) ?? example.content }
}

/** Returns content that mostly leaves the room open, for types that can close it. */
function openContent(draw: Draw, type: string): unknown {
  if (type === 'm.room.server_acl') return { allow: ['*'], deny: [draw.value(hostileText)] }
  if (type === 'm.room.join_rules' && draw.happens(0.7)) return { join_rule: draw.pick(['public', 'public', 'knock']) }
  if (type === 'm.room.history_visibility')
    return { history_visibility: draw.pick(['shared', 'world_readable', 'invited', 'joined']) }
  return undefined
}

export function drawAccountData(draw: Draw): { type: string; content: unknown } {
  const type = draw.happens(0.3) ? 'org.example.any' : draw.pick([...ACCOUNT_DATA, 'm.tag', 'm.marked_unread'])
  return { type, content: EXAMPLES[type]?.[0]?.content ?? { any: draw.value(hostileJson) } }
}

/** Draws a to-device message. */
export function drawToDevice(draw: Draw): { type: string; content: unknown } {
  const types = Object.keys(EXAMPLES).filter((type) => /^m\.(room_key|key\.|secret|dummy|forwarded)/.test(type))
  const type = draw.pick(types)
  return { type, content: draw.pick(EXAMPLES[type]!).content }
}

function drawRelation(draw: Draw): unknown {
  const event_id = draw.happens(0.1) ? referTo('event') + spoil(draw, '') : referTo('event')
  const relation = draw.pick<unknown>([
    { rel_type: 'm.thread', event_id, is_falling_back: true, 'm.in_reply_to': { event_id } },
    { rel_type: 'm.annotation', event_id, key: '👍' },
    { rel_type: 'm.replace', event_id },
    { rel_type: 'm.reference', event_id },
    { rel_type: 'org.example.relation', event_id },
    { 'm.in_reply_to': { event_id } },
  ])
  return draw.happens(0.2) ? mutate(draw, relation) : relation
}
