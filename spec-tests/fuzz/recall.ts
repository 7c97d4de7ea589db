import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import type { Draw } from './draw.ts'
import { PASSWORD } from './fuzz-users.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import { spoil } from './hostile-json.ts'
import { type Actor, type KnownRoom, type KnownValues, PERSONAL } from './known-values.ts'
import type { Kind } from './references.ts'

export type Recalling = {
  draw: Draw
  world: FuzzWorld
  known: KnownValues
  /** The actor's values of the personal kinds. */
  personal: KnownValues
  actor: Actor
  /** The users of the lane. */
  actors: readonly Actor[]
  room: KnownRoom
  /** Rooms and users of the peer. */
  elsewhere: { rooms: readonly string[]; users: readonly string[]; server: string }
}

const TYPES = ['m.room.message', 'm.room.name', 'm.room.member', 'm.reaction', 'org.example.any', 'm.room.topic']

/** Returns a value for a reference of a kind, mostly an existing one. */
function recall(kind: Kind, at: Recalling): string {
  const { draw } = at
  const known = PERSONAL.includes(kind) && draw.happens(0.9) ? at.personal : at.known
  const own = OWN[kind]?.(at)
  const isOwn = isAdmin(at, kind) || !(kind in MIXED) || draw.happens(MIXED[kind]!)
  if (own !== undefined && isOwn) return own
  return known.recall(kind, draw) ?? own ?? 'unknown'
}

/** The share of requests with invalid names, and the share of invalid names in these. */
const SPOILT_REQUESTS = 0.12
const SPOILT_REFERENCES = 0.4

/** Returns a recall for one request, of which some values are sometimes spoilt. */
export function recaller(at: Recalling): (kind: Kind) => string {
  const isSpoilt = at.draw.happens(SPOILT_REQUESTS)
  return (kind) => {
    const value = recall(kind, at)
    return isSpoilt && at.draw.happens(SPOILT_REFERENCES) ? spoil(at.draw, value) : value
  }
}

/** Administrators may lock out anybody, also bystanders, so they never name these. */
function isAdmin({ actor }: Recalling, kind: Kind): boolean {
  return actor.role === 'admin' && kind === 'user'
}

/** Kinds with many values in responses, and the share of requests that use default values. */
const MIXED: Partial<Record<Kind, number>> = { 'account data type': 0.5, user: 0.85, device: 0.7, alias: 0.5 }

const OWN: Partial<Record<Kind, (at: Recalling) => string>> = {
  'account data type': ({ draw }) => draw.pick(['org.example.any', 'm.direct', 'm.tag', 'm.ignored_user_list']),
  alias: ({ draw, world }) => `#fuzz${draw.below(1e6)}:${world.home.serverName}`,
  'client secret': ({ draw }) => draw.pick(['secret', 'secret1', 'secret2']),
  device: ({ actor, actors, draw }) => (draw.happens(0.5) ? actor : draw.pick(actors)).deviceId,
  email: ({ draw }) => `fuzz${draw.below(50)}@example.org`,
  event: ({ room, draw }) => (draw.happens(0.4) ? room.events.at(-1) : draw.pick(room.events)) ?? '$unknown',
  'event type': ({ draw }) => draw.pick(TYPES),
  'key id': ({ draw }) => draw.pick(['session1', 'session2', 'X3lUlvLELLYxeTx4yOVu6UDpasGEVO0Jbu+QFnm0cKQ']),
  'mail sid': ({ world }) => world.link.sid,
  'mail token': ({ world }) => world.link.token,
  'new name': ({ draw }) => `fuzz${draw.below(1e9)}`,
  'own server': ({ world }) => world.home.serverName,
  'own user': ({ world, draw }) => draw.pick([world.alice, world.bob, world.carol]).userId,
  password: () => PASSWORD,
  room: ({ room, known, elsewhere, world, draw }) => {
    if (draw.happens(0.85)) return room.roomId
    return draw.pick([...known.rooms.map(({ roomId }) => roomId), ...elsewhere.rooms, world.shared.roomId])
  },
  'room version': ({ draw }) => draw.pick([...ROOM_VERSIONS.keys()]),
  rule: ({ draw, room, actor }) =>
    draw.pick(['one', 'two', 'three', room.roomId, actor.userId, '.m.rule.master', '.m.rule.contains_user_name']),
  server: ({ world, elsewhere, draw }) => draw.pick([world.home.serverName, elsewhere.server, 'elsewhere.test']),
  'state key': ({ draw, actor }) => draw.pick(['', '', actor.userId, 'key']),
  tag: ({ draw }) => draw.pick(['m.favourite', 'u.fuzz']),
  thread: ({ draw, room }) => draw.pick(['main', room.events.at(-1) ?? '$unknown']),
  transaction: ({ draw }) => `t${draw.happens(0.1) ? draw.below(3) : draw.below(1e9)}`,
  url: ({ world, draw }) => draw.pick([world.gateway.url, world.gateway.url, 'https://elsewhere.test/x']),
  user({ actor, actors, world, elsewhere, draw }) {
    const others = [...actors.map(({ userId }) => userId), world.bot.userId, ...elsewhere.users]
    if (actor.role === 'admin') return draw.pick(others)
    return draw.pick([actor.userId, ...others, world.alice.userId, world.bob.userId, world.carol.userId])
  },
}
