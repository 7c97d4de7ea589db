import type { Dispatcher } from 'undici'
import { makeRequest } from './client-requests.ts'
import { type Draw, drawFrom, stepSeed } from './draw.ts'
import type { Findings } from './findings.ts'
import { newGuest, newUser } from './fuzz-users.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import { judge, parse } from './judge.ts'
import { type Actor, createKnownValues, type KnownRoom, type KnownValues, PERSONAL } from './known-values.ts'
import { enterRoom, leaveRoom, retireUser } from './lane-upkeep.ts'
import { learnFrom } from './learn.ts'
import { type FuzzedOperation, pickOperation } from './operations.ts'
import { type Recalling, recaller } from './recall.ts'
import type { Kind } from './references.ts'
import type { FuzzRequest } from './request-draft.ts'
import { type FuzzAnswer, sendRequest } from './send-request.ts'
import type { Tally } from './tally.ts'

export type LaneOptions = {
  world: FuzzWorld
  seed: number
  index: number
  operations: readonly FuzzedOperation[]
  dispatcher: Dispatcher
  tally: Tally
  findings: Findings
  elsewhere: Recalling['elsewhere']
  /** Called for each new room. */
  suggest(roomId: string): void
}

/** A sequence of users' requests, each of which can name values of earlier responses. */
export type Lane = {
  step(): Promise<void>
  known: KnownValues
  actors: readonly Actor[]
}

type State = LaneOptions & { known: KnownValues; personal: Map<string, KnownValues>; actors: Actor[] }

/** More rooms slow down syncs without benefit. */
const ROOMS_KEPT = 5
/** Number of steps after which a user has enough rules, tags, devices and so on. */
const STEPS_OF_USER = 700

export async function createLane(options: LaneOptions): Promise<Lane> {
  const { world, index, seed, operations } = options
  const actors = [await newUser(world.url), await newUser(world.url), await newGuest(world.url)]
  for (const actor of actors.slice(0, 2)) await enterRoom(world, actor, world.shared.roomId)
  const lane: State = { ...options, known: createKnownValues(), personal: new Map(), actors }
  const pick = pickOperation(operations)
  let steps = 0

  async function step(): Promise<void> {
    const number = steps++
    const draw = drawFrom(stepSeed(seed, index, number))
    if (number % STEPS_OF_USER === STEPS_OF_USER - 1) await replace(lane, actors[draw.below(2)]!)
    const operation = pick(draw)
    const actor = pickActor(lane, draw, operation)
    const room = pickRoom(lane, draw, { actor, operation })
    const personal = personalOf(lane, actor)
    const at: Recalling = {
      draw,
      world,
      known: lane.known,
      personal,
      actor,
      actors,
      room,
      elsewhere: options.elsewhere,
    }
    const request = makeRequest(operation, { draw, actor, room, recall: recaller(at) })
    const answer = await send(lane, request)
    const resend = (body: string) => send(lane, { ...request, body })
    await judge({ ...options, request, answer, at: `FUZZ_SEED=${seed}, lane ${index}, step ${number}`, resend })
    await follow(lane, { request, answer, actor })
  }

  return { step, known: lane.known, actors }
}

async function send({ world, dispatcher, tally }: State, request: FuzzRequest): Promise<FuzzAnswer> {
  const answer = await sendRequest(dispatcher, world.url, request)
  tally.count(request.operation, answer.kind === 'answer' ? answer.status : answer.kind, request.isChanged)
  return answer
}

function pickActor({ world, actors }: State, draw: Draw, { path }: FuzzedOperation): Actor {
  if (/\/admin\/|_synapse/.test(path) && draw.happens(0.7)) return world.admin
  if (/appservice/.test(path) && draw.happens(0.7)) return world.bot
  const [first, second, guest] = actors
  return { first, second, guest }[draw.weighted({ first: 55, second: 40, guest: 5 })]!
}

function personalOf({ personal }: State, { userId }: Actor): KnownValues {
  const known = personal.get(userId) ?? createKnownValues()
  personal.set(userId, known)
  return known
}

type Choice = { actor: Actor; operation: FuzzedOperation }

function pickRoom({ world, known }: State, draw: Draw, { actor, operation }: Choice): KnownRoom {
  const closed = known.rooms.filter(({ members }) => !members.has(actor.userId))
  if (/\/(knock|join)\//.test(operation.path) && closed.length > 0 && draw.happens(0.6)) return draw.pick(closed)
  const joined = known.rooms.filter(({ members }) => members.has(actor.userId))
  if (joined.length === 0 || draw.happens(0.25)) return world.shared
  return draw.happens(0.9) ? draw.pick(joined) : draw.pick(known.rooms)
}

/** Replaces a user, whose account is deactivated, by another one who joins the same rooms. */
async function replace({ world, known, personal, actors }: State, actor: Actor): Promise<void> {
  const place = actors.indexOf(actor)
  if (place < 0) return
  const next = actor.role === 'guest' ? await newGuest(world.url) : await newUser(world.url)
  actors[place] = next
  personal.delete(actor.userId)
  await retireUser(world, actor)
  if (next.role === 'guest') return
  for (const room of [world.shared, ...known.rooms]) {
    room.members.delete(actor.userId)
    if (await enterRoom(world, next, room.roomId)) room.members.add(next.userId)
  }
}

type Step = { request: FuzzRequest; answer: FuzzAnswer; actor: Actor }

/** Updates the lane's knowledge from a response. */
async function follow(lane: State, { request, answer, actor }: Step): Promise<void> {
  const body = answer.kind === 'answer' ? parse(answer.text) : undefined
  if (answer.kind !== 'answer' || !body) return
  const isOwnToken = request.headers.authorization === `Bearer ${actor.token}`
  if (isOwnToken && /^M_(UNKNOWN_TOKEN|USER_LOCKED)$/.test(String(body.errcode))) return replace(lane, actor)
  const own = personalOf(lane, actor)
  const learner = {
    learn: (kind: Kind, value: string) => (PERSONAL.includes(kind) ? own : lane.known).learn(kind, value),
    learnEvent: lane.known.learnEvent,
  }
  if (typeof answer.headers.etag === 'string') learner.learn('etag', answer.headers.etag)
  learnFrom(learner, answer.status < 300 ? request : { ...request, named: [] }, body)
  if (/not in th(e|is) room/.test(String(body.error))) return comeBack(lane, request, actor)
  if (answer.status !== 200) return
  const roomId = body.room_id ?? body.replacement_room
  if (typeof roomId !== 'string') return
  if (/createRoom$|upgrade$/.test(request.operation)) await addRoom(lane, roomId, actor)
  if (/\/join/.test(request.operation)) {
    lane.known.rooms.find((room) => room.roomId === roomId)?.members.add(actor.userId)
  }
}

/** Re-joins users who left or were removed, if allowed. */
async function comeBack({ world, known }: State, { path }: FuzzRequest, actor: Actor): Promise<void> {
  const room = known.rooms.find(({ roomId }) => path.includes(encodeURIComponent(roomId)))
  if (!room?.members.delete(actor.userId)) return
  if (await enterRoom(world, actor, room.roomId)) room.members.add(actor.userId)
}

async function addRoom({ world, known, actors, suggest }: State, roomId: string, creator: Actor): Promise<void> {
  const room = { roomId, version: '', events: [], members: new Set([creator.userId]) }
  known.rooms.push(room)
  suggest(roomId)
  for (const other of actors) if (await enterRoom(world, other, roomId)) room.members.add(other.userId)
  if (known.rooms.length <= ROOMS_KEPT) return
  const oldest = known.rooms.shift()!
  for (const each of actors) await leaveRoom(world, each, oldest.roomId)
}
