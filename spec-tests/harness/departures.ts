import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import type { TestUser } from './client.ts'
import { type ClientEvent, roomPath, sendState, v3 } from './rooms.ts'

/** Alice in a room of hers, and Bob, possibly on another server. */
export type Cast = { alice: TestUser; bob: TestUser; roomId: string; via: string }

/** How Bob enters a room, and how he leaves it. */
export type Departure = {
  enter: readonly ((cast: Cast) => Promise<unknown>)[]
  leave(cast: Cast): Promise<unknown>
  membership: 'leave' | 'ban'
}

const act = (who: 'alice' | 'bob', verb: string) => (cast: Cast) =>
  cast[who].post(roomPath(cast.roomId, verb), who === 'alice' ? { user_id: cast.bob.userId } : {})
const invite = act('alice', 'invite')
const join = ({ roomId, bob, via }: Cast) => bob.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${via}`)
const knock = async ({ roomId, alice, bob, via }: Cast) => {
  await sendState(alice, roomId, { type: 'm.room.join_rules', content: { join_rule: 'knock' } })
  await bob.post(`${v3}/knock/${encodeURIComponent(roomId)}?via=${via}`)
}
const asState = (who: 'alice' | 'bob', membership: string) => (cast: Cast) =>
  sendState(cast[who], cast.roomId, { type: 'm.room.member', key: cast.bob.userId, content: { membership } })

export const DEPARTURES: Record<string, Departure> = {
  leaves: { enter: [join], leave: act('bob', 'leave'), membership: 'leave' },
  'leaves by a state event': { enter: [join], leave: asState('bob', 'leave'), membership: 'leave' },
  'is kicked': { enter: [join], leave: act('alice', 'kick'), membership: 'leave' },
  'is kicked by a state event': { enter: [join], leave: asState('alice', 'leave'), membership: 'leave' },
  'is banned': { enter: [join], leave: act('alice', 'ban'), membership: 'ban' },
  'rejects an invite': { enter: [invite], leave: act('bob', 'leave'), membership: 'leave' },
  'loses an invite': { enter: [invite], leave: act('alice', 'kick'), membership: 'leave' },
  'is banned when invited': { enter: [invite], leave: act('alice', 'ban'), membership: 'ban' },
  'retracts a knock': { enter: [knock], leave: act('bob', 'leave'), membership: 'leave' },
  'knocks in vain': { enter: [knock], leave: act('alice', 'kick'), membership: 'leave' },
  'is banned when knocking': { enter: [knock], leave: act('alice', 'ban'), membership: 'ban' },
  'is unbanned': { enter: [join, act('alice', 'ban')], leave: act('alice', 'unban'), membership: 'leave' },
  'is banned after leaving': { enter: [join, act('bob', 'leave')], leave: act('alice', 'ban'), membership: 'ban' },
  'rejects an invite back': {
    enter: [join, act('bob', 'leave'), invite],
    leave: act('bob', 'leave'),
    membership: 'leave',
  },
}

/** Filters of /sync that drop the user's own member event from the timeline, or nearly. */
export const DEPARTURE_FILTERS: Record<string, object> = {
  'no filter': {},
  'a timeline limit of 0': { timeline: { limit: 0 } },
  'a timeline of messages': { timeline: { types: ['m.room.message'] } },
  'lazy members': { state: { lazy_load_members: true }, timeline: { lazy_load_members: true } },
  'lazy members and a limit of 1': { state: { lazy_load_members: true }, timeline: { limit: 1 } },
}

/** Asserts that both forms of /sync, incremental and initial, show Bob that he is not in the room. */
export async function expectDepartureTold(
  { bob, roomId }: Cast,
  { membership, enter }: Departure,
  { filter: kind, since }: { filter: string; since: string | undefined },
): Promise<void> {
  const filter = encodeURIComponent(JSON.stringify({ room: { ...DEPARTURE_FILTERS[kind], include_leave: true } }))
  const isTold = (event: ClientEvent) =>
    event.type === 'm.room.member' && event.state_key === bob.userId && event.content.membership === membership
  const room = (query: string) =>
    pollUntil('the room is left', async () => {
      const span = since === undefined ? '' : `since=${since}&`
      return (await bob.get(`${v3}/sync?${span}filter=${filter}${query}`)).rooms?.leave?.[roomId]
    })
  const after = await room('&use_state_after=true')
  expect(after.state).toBeUndefined()
  expect(after.state_after.events.filter(isTold)).toHaveLength(1)
  const before = await room('')
  expect(before.state_after).toBeUndefined()
  expect([...before.timeline.events, ...before.state.events].some(isTold)).toBe(true)
  if (enter.includes(join)) return
  // A user who never joined the room gets nothing else.
  for (const { state, state_after, timeline } of [before, after])
    expect([...(state ?? state_after).events, ...timeline.events].every(isTold)).toBe(true)
}
