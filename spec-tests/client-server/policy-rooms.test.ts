import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  joinRoom,
  refusal,
  roomPath,
  sendState,
  syncedRoom,
  syncUntil,
  v3,
} from '../harness/rooms.ts'

/**
 * https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists: clients and bots act on recommendations;
 * the server stores them like all state.
 */
const { url } = inject('homeserver')
let moderator: TestUser
let subscriber: TestUser
beforeAll(async () => {
  ;[moderator, subscriber] = await Promise.all([registerUser(url), registerUser(url)])
})

const ban = (entity: string, reason = 'spam') => ({ entity, reason, recommendation: 'm.ban' })
const RULES = [
  ['m.policy.rule.user', ban('@spam*:example.org')],
  ['m.policy.rule.room', ban('!bad:example.org')],
  ['m.policy.rule.server', ban('*.example.org')],
  // Types from before the specification, which Mjolnir's and Draupnir's lists still use.
  ['m.room.rule.user', ban('@old:example.org')],
  ['org.matrix.mjolnir.rule.server', ban('old.example.org')],
] as const

async function policyList(): Promise<string> {
  const roomId = await createRoom(moderator, { name: 'Bans' })
  await joinRoom(roomId, subscriber)
  for (const [type, content] of RULES)
    await sendState(moderator, roomId, { type, key: `rule:${content.entity}`, content })
  return roomId
}

const rulesIn = (events: readonly ClientEvent[]) =>
  events.filter(({ type }) => type.includes('.rule.')).map(({ type, state_key, content }) => [type, state_key, content])

test('subscribers get all rules with their first sync, and with the next what was added, changed and taken back', async () => {
  const roomId = await policyList()
  const { next_batch } = await subscriber.get(`${v3}/sync`)
  const { state, timeline } = await syncedRoom(subscriber, roomId)
  const expected = RULES.map(([type, content]) => [type, `rule:${content.entity}`, content])
  expect(rulesIn([...state.events, ...timeline.events]).sort()).toEqual(expected.toSorted())

  const key = 'rule:@spam*:example.org'
  await sendState(moderator, roomId, {
    type: 'm.policy.rule.user',
    key,
    content: ban('@spam*:example.org', 'more spam'),
  })
  await sendState(moderator, roomId, { type: 'm.policy.rule.room', key: 'rule:!bad:example.org', content: {} })
  const changes: ClientEvent[] = []
  await syncUntil(subscriber, next_batch, (body) => {
    changes.push(...(body.rooms?.join?.[roomId]?.timeline.events ?? []))
    return changes.length >= 2
  })
  expect(rulesIn(changes)).toEqual([
    ['m.policy.rule.user', key, ban('@spam*:example.org', 'more spam')],
    ['m.policy.rule.room', 'rule:!bad:example.org', {}],
  ])
  // A revoked rule is state with empty content, not missing state.
  expect(await subscriber.get(roomPath(roomId, 'state/m.policy.rule.room/rule%3A!bad%3Aexample.org'))).toEqual({})
})

test('only who may change the state makes rules, and no rule bans anybody by itself', async () => {
  const roomId = await policyList()
  const path = roomPath(roomId, 'state/m.policy.rule.user/mine')
  expect(await refusal(subscriber, 'PUT', path, ban(moderator.userId))).toEqual([403, 'M_FORBIDDEN'])
  await sendState(moderator, roomId, { type: 'm.policy.rule.user', key: 'them', content: ban(subscriber.userId) })
  const other = await createRoom(moderator)
  await joinRoom(other, subscriber)
  expect(Object.keys((await moderator.get(roomPath(roomId, 'joined_members'))).joined)).toContain(subscriber.userId)
})
