import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import type { TestUser } from './client.ts'
import { startFederation, type TestFederation } from './federation.ts'
import type { TestHearth } from './hearth.ts'
import { type ClientEvent, eventPath, historyOf, roomPath, v3 } from './rooms.ts'
import { startSynapse, type TestSynapse } from './synapse.ts'

export type SideName = 'Hearth' | 'Synapse'

/** Sender and receiver. */
export const WAYS: readonly (readonly [SideName, SideName])[] = [
  ['Hearth', 'Synapse'],
  ['Synapse', 'Hearth'],
]

/** A Hearth and a Synapse that federate. */
export type SynapsePair = {
  federation: TestFederation
  Hearth: TestHearth
  Synapse: TestSynapse
  dispose(): Promise<void>
}

/**
 * Starts both; `hearthHost`: the host of Hearth's name, instead of localhost; `synapse`: further keys of its
 * configuration.
 */
export async function startPair(
  options: { hearthHost?: string; synapse?: Record<string, unknown> } = {},
): Promise<SynapsePair> {
  const federation = await startFederation()
  try {
    const [hearth, synapse] = await Promise.all([
      federation.hearth({ ...(options.hearthHost && { host: options.hearthHost }) }),
      startSynapse(federation, options.synapse),
    ])
    return { federation, Hearth: hearth, Synapse: synapse, dispose: federation.dispose }
  } catch (error) {
    await federation.dispose()
    throw error
  }
}

/** Returns the server of a user or an alias. */
export function serverOf({ userId }: { userId: string }): string {
  return userId.slice(userId.indexOf(':') + 1)
}

/** Joins through the servers of the room's members, and returns the room ID. */
export async function joinVia(user: TestUser, roomId: string, ...members: TestUser[]): Promise<string> {
  return (await user.post(moveVia('join', roomId, ...members))).room_id
}

/** Returns the path for joining or knocking through members' servers. */
export function moveVia(verb: 'join' | 'knock', roomId: string, ...members: TestUser[]): string {
  const servers = new Set(members.map(serverOf))
  const query = [...servers].map((server) => `via=${encodeURIComponent(server)}`).join('&')
  return `${v3}/${verb}/${encodeURIComponent(roomId)}?${query}`
}

/** Waits until a user sees another user's membership, and returns the event's content. */
export async function seesMember(
  user: TestUser,
  roomId: string,
  { of, membership }: { of: TestUser; membership: string },
): Promise<ClientEvent> {
  return pollUntil(`${user.userId} sees that the membership of ${of.userId} is ${membership}`, async () => {
    const content = await user.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(of.userId)}`))
    return content.membership === membership ? content : undefined
  })
}

/** Waits until a user has an event that fulfils a condition. */
export async function seesEvent(
  user: TestUser,
  roomId: string,
  eventId: string,
  holds: (event: ClientEvent) => boolean = () => true,
): Promise<ClientEvent> {
  return pollUntil(`${user.userId} sees ${eventId}`, async () => {
    const event = await user.get(roomPath(roomId, eventPath('event', eventId)))
    return holds(event) ? event : undefined
  })
}

/** Waits until a user's sync has an invite, and returns its stripped state. */
export function seesInvite(user: TestUser, roomId: string): Promise<ClientEvent[]> {
  return syncsUntil(user, `${user.userId} is invited to ${roomId}`, (body) => {
    return body.rooms?.invite?.[roomId]?.invite_state.events
  })
}

/** Waits until a user's syncs show no invite to, knock on or membership in a room. */
export async function isOut(user: TestUser, roomId: string): Promise<void> {
  let isIn = false
  await syncsUntil(user, `${user.userId} has nothing of ${roomId}`, ({ rooms = {} }) => {
    if (rooms.leave?.[roomId]) isIn = false
    if (rooms.invite?.[roomId] || rooms.knock?.[roomId] || rooms.join?.[roomId]) isIn = true
    return !isIn
  })
}

/**
 * Starts with an initial sync and continues from there, since Synapse repeats the same initial sync for two minutes.
 */
function syncsUntil<Result>(
  user: TestUser,
  what: string,
  find: (body: ClientEvent) => Result | undefined | false,
): Promise<Result> {
  let since = ''
  return pollUntil(what, async () => {
    const body = await user.get(`${v3}/sync?timeout=1000${since}`)
    since = `&since=${body.next_batch}`
    return find(body)
  })
}

const lasting = ({ type, state_key, event_id, sender, content, origin_server_ts }: ClientEvent) => {
  return { type, state_key, event_id, sender, content, origin_server_ts }
}
const byId = (a: { event_id: string }, b: { event_id: string }) => (a.event_id < b.event_id ? -1 : 1)

/** Waits until members on both sides have the same events as the state of a room. */
export function agreeOnState(roomId: string, one: TestUser, other: TestUser): Promise<ClientEvent[]> {
  return agree('the state is the same', [one, other], async (user) => {
    const state: ClientEvent[] = await user.get(roomPath(roomId, 'state'))
    return state.map(lasting).sort(byId)
  })
}

/** Waits until members on both sides get the same events in the same order by paginating back. */
export function agreeOnHistory(roomId: string, one: TestUser, other: TestUser): Promise<ClientEvent[]> {
  return agree('the history is the same', [one, other], async (user) => {
    return (await historyOf(user, roomId)).map(lasting)
  })
}

async function agree<Snapshot>(
  what: string,
  [one, other]: readonly [TestUser, TestUser],
  draw: (user: TestUser) => Promise<Snapshot>,
): Promise<Snapshot> {
  let snapshots = await Promise.all([draw(one), draw(other)])
  await pollUntil(what, async () => {
    snapshots = await Promise.all([draw(one), draw(other)])
    return isDeepStrictEqual(...snapshots)
  }).catch(() => expect(snapshots[1]).toEqual(snapshots[0]))
  return snapshots[0]
}
