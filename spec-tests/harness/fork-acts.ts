import { pollUntil } from '../../testing/poll-until.ts'
import type { Answer, TestUser } from './client.ts'
import type { ForkServer } from './fork-network.ts'
import { type ClientEvent, hasEvent, roomPath, v3 } from './rooms.ts'
import type { Chance } from './seeded.ts'

/** A room with users of all servers. */
export type ForkRoom = {
  roomId: string
  version: string
  creator: ForkServer
  /** Its initial power levels. */
  levels: object
}

const POWER_LEVELS = 'state/m.room.power_levels/'
const ANCHOR = 90
const MODERATOR = 50

/**
 * Creates a room with all users. Its anchors have more power than anybody can get, so that each server can always send;
 * one other user of each server is a moderator.
 */
export async function createForkRoom(
  servers: readonly ForkServer[],
  creator: ForkServer,
  room_version: string,
): Promise<ForkRoom> {
  const rivals = servers.filter((server) => server !== creator).map(({ anchor }) => [anchor.userId, ANCHOR])
  const moderators = servers.map(({ others }) => [others[0]!.userId, MODERATOR])
  const own = room_version === '12' ? [] : [[creator.anchor.userId, 100]]
  const { room_id: roomId } = await creator.anchor.post(`${v3}/createRoom`, {
    preset: 'public_chat',
    room_version,
    // Moderators may change all state, also power levels.
    power_level_content_override: { events: {}, users: Object.fromEntries([...own, ...rivals, ...moderators]) },
  })
  const via = `?server_name=${creator.name}&via=${creator.name}`
  for (const { anchor, others } of servers) {
    for (const user of [anchor, ...others]) {
      if (user !== creator.anchor) await user.post(`${v3}/join/${encodeURIComponent(roomId)}${via}`, {})
    }
  }
  const levels = await creator.anchor.get(roomPath(roomId, POWER_LEVELS))
  return { roomId, version: room_version, creator, levels }
}

/**
 * Re-admits all users to a room, with the initial power levels: otherwise hardly anybody would have permissions in a
 * long run. The network must be connected. `deadline`: in ms, for each server and for each user.
 */
export async function reopenRoom(servers: readonly ForkServer[], room: ForkRoom, deadline: number): Promise<void> {
  const { anchor } = room.creator
  const path = (rest: string) => roomPath(room.roomId, rest)
  await anchor.put(path(POWER_LEVELS), room.levels)
  await anchor.put(path('state/m.room.join_rules/'), { join_rule: 'public' })
  const state: ClientEvent[] = await anchor.get(path('state'))
  const members = new Map(
    state.filter(({ type }) => type === 'm.room.member').map((one) => [one.state_key, one.content]),
  )
  for (const [user_id, { membership }] of members)
    if (membership === 'ban') await anchor.post(path('unban'), { user_id })
  // An unseen invite and join would restore the old join rules: of conflicting events, those of senders with less power
  // are applied last.
  const last = await talk(anchor, room, 'Come in')
  await Promise.all(servers.map((server) => untilHere(server, room, last.body.event_id, deadline)))
  await Promise.all(
    servers.flatMap(({ others }) =>
      others
        .filter(({ userId }) => members.get(userId)?.membership !== 'join')
        .map((user) => {
          const join = async () => (await user.ask('POST', path('join'), {})).status === 200
          return pollUntil(`${user.userId} is back in ${room.roomId}`, join, deadline)
        }),
    ),
  )
}

/** Waits until a server has an event and its predecessors. */
export async function untilHere(
  { anchor, kind, name }: ForkServer,
  { roomId }: ForkRoom,
  eventId: string,
  deadline: number,
): Promise<void> {
  const isHere = () => hasEvent(anchor, { room_id: roomId, event_id: eventId })
  await pollUntil(`${kind} ${name} has ${eventId}`, isHere, deadline)
}

/** Random actions of users in a room. */
export type Acts = {
  /** Makes a user of a server do something, and returns the server's response. */
  act(server: ForkServer, room: ForkRoom): Promise<{ name: string; answer: Answer }>
}

const WEIGHTS = {
  talk: 40,
  topic: 10,
  power: 10,
  joinRules: 6,
  ban: 9,
  unban: 7,
  kick: 6,
  invite: 8,
  leave: 3,
  join: 9,
}
type Act = keyof typeof WEIGHTS

/** Creates actions among the users of some servers. */
export function createActs(chance: Chance, servers: readonly ForkServer[]): Acts {
  const targets = servers.flatMap(({ others }) => others)
  let count = 0

  /**
   * Each action draws all its random values before its first request, so that they do not depend on the order of
   * responses.
   */
  function draw(name: Act, user: TestUser, room: ForkRoom): () => Promise<Answer> {
    const target = chance.pick(targets).userId
    const number = ++count
    const state = (type: string, content: object) => () =>
      user.ask('PUT', roomPath(room.roomId, `state/${type}/`), content)
    const moderate = (verb: string) => () => user.ask('POST', roomPath(room.roomId, verb), { user_id: target })
    if (name === 'talk') return () => talk(user, room, `${number}`)
    if (name === 'topic') return state('m.room.topic', { topic: `topic ${number}` })
    if (name === 'joinRules') return state('m.room.join_rules', { join_rule: chance.pick(joinRules(room)) })
    if (name === 'power') return power(user, room, target)
    if (name === 'leave') return () => user.ask('POST', roomPath(room.roomId, 'leave'), {})
    if (name === 'join') return () => user.ask('POST', roomPath(room.roomId, 'join'), {})
    return moderate(name)
  }

  function power(user: TestUser, room: ForkRoom, target: string): () => Promise<Answer> {
    const [level, threshold, limit] = [chance.pick([0, 0, 50, 60]), chance.pick([25, 50, 75]), chance.pick([0, 0, 10])]
    const name = chance.pick(['invite', 'kick', 'ban', 'state_default'])
    const change = chance.pick([
      (levels: Levels) => ({ ...levels, users: { ...levels.users, [target]: level } }),
      (levels: Levels) => ({ ...levels, [name]: threshold }),
      (levels: Levels) => ({ ...levels, events_default: limit }),
    ])
    return async () => {
      const path = roomPath(room.roomId, POWER_LEVELS)
      const levels = await user.ask('GET', path)
      return levels.status === 200 ? user.ask('PUT', path, change(levels.body)) : levels
    }
  }

  /** Returns mostly a user with permission. */
  function anyUser({ anchor, others }: ForkServer, name: Act): TestUser {
    if (name === 'leave' || name === 'join') return chance.pick(others)
    if (name === 'talk') return chance.pick([anchor, ...others])
    return chance.pick([anchor, others[0]!, others[0]!, ...others])
  }

  return {
    async act(server, room) {
      const name = chance.weighted(WEIGHTS)
      const user = anyUser(server, name)
      return { name, answer: await draw(name, user, room)() }
    },
  }
}

type Levels = { users?: Record<string, number>; [name: string]: unknown }

function joinRules({ version }: ForkRoom): readonly string[] {
  return version === '1' || version === '6' ? ['public', 'invite'] : ['public', 'public', 'invite', 'knock']
}

let transactions = 0
export function talk(user: TestUser, { roomId }: ForkRoom, body: string): Promise<Answer> {
  const path = roomPath(roomId, `send/m.room.message/f${process.pid}.${++transactions}`)
  return user.ask('PUT', path, { msgtype: 'm.text', body })
}
