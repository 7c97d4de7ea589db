import type { Agent } from 'undici'
import { signAnything } from '../../testing/matrix/events.ts'
import type { Event, UserId } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import type { LyingServer } from '../harness/lying-server.ts'
import { type Forgery, sendSigned } from '../harness/signed-request.ts'
import { completeTemplate, type Template, visitRoom } from '../harness/visit-room.ts'
import { makeRequest } from './client-requests.ts'
import { type Draw, drawFrom, stepSeed } from './draw.ts'
import type { Findings } from './findings.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import { writeJson } from './hostile-json.ts'
import { judge, parse } from './judge.ts'
import { type Actor, createKnownValues, type KnownValues } from './known-values.ts'
import type { Lane } from './lane.ts'
import { enterRoom } from './lane-upkeep.ts'
import { learnFrom } from './learn.ts'
import { mutate } from './mutate.ts'
import { type FuzzedOperation, pickOperation } from './operations.ts'
import { drawEdu } from './peer-edus.ts'
import { drawPdu, filled, type PeerDrawing } from './peer-events.ts'
import { type PeerPlace, type PeerPlaces, peerPlaces } from './peer-places.ts'
import { type Recalling, recaller } from './recall.ts'
import type { FuzzRequest } from './request-draft.ts'
import type { FuzzAnswer } from './send-request.ts'
import type { Tally } from './tally.ts'

export type PeerCounts = { pdus: number; acceptedPdus: number; edus: number }

export type PeerLaneOptions = {
  world: FuzzWorld
  peer: LyingServer
  seed: number
  index: number
  operations: readonly FuzzedOperation[]
  dispatcher: Agent
  tally: Tally
  findings: Findings
  /** The lanes of users, whose rooms it joins and whom it invites. */
  lanes: readonly Lane[]
  /** Counts its transactions' contents. */
  counts: PeerCounts
}

type State = PeerLaneOptions & { users: string[]; known: KnownValues; places: PeerPlaces; steps: number }

const v1 = '/_matrix/federation/v1'
const VERSIONS = [...ROOM_VERSIONS.keys()].map((version) => `ver=${version}`).join('&')

const ACTS: Record<string, { weight: number; act(lane: State, draw: Draw): Promise<unknown> }> = {
  transaction: { weight: 50, act: transact },
  operation: { weight: 30, act: operate },
  membership: { weight: 8, act: changeMembership },
  invite: { weight: 5, act: invite },
  'another room': { weight: 4, act: visit },
}
const WEIGHTS = Object.fromEntries(Object.entries(ACTS).map(([name, { weight }]) => [name, weight]))

/** Sends requests of another server: transactions with events and EDUs, membership, and all federation requests. */
export function createPeerLane(options: PeerLaneOptions): { step(): Promise<void> } {
  const { peer, index, seed } = options
  const users = Array.from({ length: 4 }, (_, i) => `@peer${index}x${i}:${peer.serverName}`)
  const lane: State = { ...options, users, known: createKnownValues(), places: peerPlaces(peer, users), steps: 0 }
  return {
    async step() {
      const draw = drawFrom(stepSeed(seed, index, lane.steps++))
      if (lane.places.isStranger()) await visit(lane, draw)
      for (const place of lane.places.unshared()) place.isShared = await bringUser(lane, draw, place)
      await ACTS[draw.weighted(WEIGHTS)]!.act(lane, draw)
    },
  }
}

/** Makes a local user join a room of the peer, which sometimes refuses, and returns whether one has joined. */
async function bringUser({ world, peer, lanes }: State, draw: Draw, { room }: PeerPlace): Promise<boolean> {
  for (let tries = 0; tries < 3; tries++) {
    if (await enterRoom(world, draw.pick(draw.pick(lanes).actors), room.roomId, peer.serverName)) return true
  }
  return false
}

/** Joins the shared room or one of a user lane, like a well-behaved server. */
async function visit({ world, peer, lanes, users, places, findings, tally }: State, draw: Draw): Promise<void> {
  const rooms = lanes.flatMap((lane) => lane.known.rooms.map(({ roomId }) => roomId))
  const roomId = rooms.length === 0 || draw.happens(0.3) ? world.shared.roomId : draw.pick(rooms)
  const userId = draw.pick(users)
  const operation = `PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}`
  try {
    const { room } = await visitRoom(peer, world.home, { roomId, userId: userId as UserId })
    places.enter(room, userId)
    tally.count(operation, 200, false)
  } catch (error) {
    const [, status] = /: (\d{3}) /.exec(String(error)) ?? []
    tally.count(operation, Number(status ?? 400), false)
    // Rooms may be closed, or gone.
    if (status?.startsWith('5')) findings.add({ kind: `a join of another server: ${status}`, detail: String(error) })
  }
}

async function transact(lane: State, draw: Draw): Promise<void> {
  const { peer, counts, index } = lane
  const place = lane.places.pick(draw)
  const drawing = drawingOf(lane, draw, place)
  const pdus = Array.from({ length: draw.below(4) }, () => {
    const { pdu, valid } = drawPdu(drawing)
    if (valid && draw.happens(0.9)) place.room.advance(valid.event_id)
    return isReadable(pdu) || draw.happens(0.1) ? pdu : {}
  })
  const edus = Array.from({ length: draw.below(4) }, () => drawEdu(drawing))
  place.sent += pdus.length
  counts.pdus += pdus.length
  counts.edus += edus.length
  const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus, edus }
  const isChanged = draw.happens(0.05)
  const answer = await ask(lane, draw, {
    operation: `PUT ${v1}/send/{txnId}`,
    method: 'PUT',
    path: `${v1}/send/${draw.happens(0.03) ? 'again' : `fuzz${index}x${lane.steps}`}`,
    body: writeJson(isChanged ? mutate(draw, body) : body),
    isChanged,
  })
  const results = answer.kind === 'answer' ? Object.values(parse(answer.text)?.pdus ?? {}) : []
  counts.acceptedPdus += results.filter((result: { error?: string }) => result.error === undefined).length
}

async function operate(lane: State, draw: Draw): Promise<void> {
  const at = recallingOf(lane, draw, lane.places.pick(draw))
  const operation = pickOperation(lane.operations)(draw)
  await ask(lane, draw, makeRequest(operation, { draw, actor: at.actor, room: at.room, recall: recaller(at) }))
}

/** Joins, leaves or knocks with a valid or invalid event. */
async function changeMembership(lane: State, draw: Draw): Promise<void> {
  const way = draw.pick(['join', 'join', 'leave', 'knock'])
  const rooms = draw.pick(lane.lanes).known.rooms.map(({ roomId }) => roomId)
  const roomId = draw.pick([lane.world.shared.roomId, lane.places.pick(draw).room.roomId, ...rooms])
  const user = draw.pick(lane.users)
  const parts = `${encodeURIComponent(roomId)}/${encodeURIComponent(user)}`
  const made = await ask(lane, draw, {
    operation: `GET ${v1}/make_${way}/{roomId}/{userId}`,
    method: 'GET',
    path: `${v1}/make_${way}/${parts}${way === 'leave' ? '' : `?${VERSIONS}`}`,
  })
  if (made.kind !== 'answer' || made.status !== 200) return
  const template = parse(made.text) as Template
  const event = completeTemplate(lane.peer, template)
  const isChanged = draw.happens(0.4)
  const pdu = isChanged ? changed(lane, draw, { template, event }) : event.pdu
  const version = way === 'knock' || draw.happens(0.2) ? 'v1' : 'v2'
  const base = `/_matrix/federation/${version}/send_${way}`
  await ask(lane, draw, {
    operation: `PUT ${base}/{roomId}/{eventId}`,
    method: 'PUT',
    path: `${base}/${encodeURIComponent(roomId)}/${encodeURIComponent(event.event_id)}`,
    body: writeJson(pdu),
    isChanged,
  })
}

/** Returns a changed event, signed as far as possible. */
function changed(lane: State, draw: Draw, { template, event }: { template: Template; event: Event }): unknown {
  const recall = recaller(recallingOf(lane, draw, lane.places.pick(draw)))
  const pdu = filled({ recall }, mutate(draw, event.pdu))
  return typeof pdu === 'object' && pdu !== null ? signAnything(pdu, template.room_version, lane.peer.signer) : pdu
}

async function invite(lane: State, draw: Draw): Promise<void> {
  const { room } = lane.places.pickOwn(draw)
  const { actors } = draw.pick(lane.lanes)
  const target = draw.pick([...actors.map(({ userId }) => userId), lane.world.carol.userId])
  const event = room.make({
    type: 'm.room.member',
    sender: room.creator,
    state_key: target,
    content: { membership: 'invite' },
  })
  const stripped = room.stateNow().map(({ pdu }) => pdu)
  const body = { room_version: room.version.id, event: event.pdu, invite_room_state: stripped }
  const isChanged = draw.happens(0.5)
  await ask(lane, draw, {
    operation: 'PUT /_matrix/federation/v2/invite/{roomId}/{eventId}',
    method: 'PUT',
    path: `/_matrix/federation/v2/invite/${encodeURIComponent(room.roomId)}/${encodeURIComponent(event.event_id)}`,
    body: writeJson(isChanged ? mutate(draw, body) : body),
    isChanged,
  })
}

/**
 * Returns whether a transaction with it can be parsed: with a lone surrogate or a deep nest in it, the whole
 * transaction is refused.
 */
function isReadable(value: unknown): boolean {
  return !/\\ud[89a-f]|\[{200}|(\{"a":){200}/.test(writeJson(value))
}

function drawingOf(lane: State, draw: Draw, place: PeerPlace): PeerDrawing {
  return { draw, ...place, signer: lane.peer.signer, recall: recaller(recallingOf(lane, draw, place)) }
}

function recallingOf({ world, peer, lanes, known }: State, draw: Draw, { room, members }: PeerPlace): Recalling {
  const actors: Actor[] = members.map((userId) => ({ role: 'peer', userId, deviceId: 'DEVICE', token: '' }))
  const lane = draw.pick(lanes)
  return {
    draw,
    world,
    known: { ...known, recall: (kind, by) => known.recall(kind, by) ?? lane.known.recall(kind, by) },
    personal: known,
    actor: draw.pick(actors),
    actors,
    room: { roomId: room.roomId, version: room.version.id, events: [...room.recent(20)], members: new Set(members) },
    elsewhere: {
      rooms: lane.known.rooms.map(({ roomId }) => roomId),
      users: lane.actors.map(({ userId }) => userId),
      server: peer.serverName,
    },
  }
}

type Asking = Pick<FuzzRequest, 'operation' | 'method' | 'path' | 'body'> & { isChanged?: boolean }

async function ask(lane: State, draw: Draw, asking: Asking): Promise<FuzzAnswer> {
  const { peer, seed, index, steps, known } = lane
  const fixed = { named: [], headers: {}, isLongPoll: false, by: peer.serverName }
  const request: FuzzRequest = { isChanged: false, ...asking, ...fixed }
  const forgery = draw.happens(0.02)
    ? draw.pick<Forgery>(['unsigned', 'with another key', 'for another server'])
    : undefined
  const answer = await send(lane, request, forgery)
  const at = `FUZZ_SEED=${seed}, lane ${index} of the peer, step ${steps - 1}`
  await judge({ ...lane, request, answer, at, resend: (body) => send(lane, { ...request, body }) })
  const body = answer.kind === 'answer' && answer.status === 200 ? parse(answer.text) : undefined
  if (body) learnFrom(known, request, body)
  return answer
}

async function send(
  { world, peer, dispatcher, tally }: State,
  request: FuzzRequest,
  forgery?: Forgery,
): Promise<FuzzAnswer> {
  const { operation, method, path, body, isChanged } = request
  try {
    const asker = { dispatcher, signer: peer.signer }
    const answer = await sendSigned(asker, world.home, { method, path, body }, forgery)
    tally.count(operation, answer.status, isChanged || forgery !== undefined)
    return { kind: 'answer', ...answer }
  } catch (error) {
    tally.count(operation, 'none', isChanged)
    return { kind: 'none', reason: String(error) }
  }
}
