import { expect } from 'vitest'
import { signAnything, toEvent } from '../../../testing/matrix/events.ts'
import type { Event, EventId, JsonObject, Pdu, UserId } from '../../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import type { Answer } from '../client.ts'
import type { HostileWorld } from '../hostile-world.ts'
import { type LyingServer, startLyingServer } from '../lying-server.ts'
import type { PeerRoom } from '../peer-room.ts'
import { createRoom, eventPath, hasEvent, joinRoom, roomPath } from '../rooms.ts'
import { visitRoom } from '../visit-room.ts'

/** A hostile server, and its attacks on a homeserver. */
export type Mallory = {
  peer: LyingServer
  /** A user of it, who joins rooms. */
  userId: UserId
  world: HostileWorld
  /** Sends a signed request; the path is below `/_matrix/federation/`. */
  ask(method: string, path: string, body?: object): Promise<Answer>
}

const known = new WeakMap<HostileWorld, Promise<Mallory>>()

/** Returns the hostile server of a world. */
export function malloryIn(world: HostileWorld): Promise<Mallory> {
  const mallory = known.get(world) ?? newMallory(world)
  known.set(world, mallory)
  return mallory
}

/** Starts a further hostile server, unknown to the homeserver. */
export async function newMallory(world: HostileWorld): Promise<Mallory> {
  const peer = await startLyingServer(world.federation)
  const ask = (method: string, path: string, body?: object) =>
    peer.ask(world.home, method, `/_matrix/federation/${path}`, body) as unknown as Promise<Answer>
  return { peer, userId: `@visitor:${peer.serverName}` as UserId, world, ask }
}

/** A room of Alice and Bob that the hostile server has joined. */
export type Stage = Mallory & { roomId: string; room: PeerRoom }

/** Creates a stage; `options` as for `createRoom`, `levels`: further content of its power levels. */
export async function stageIn(world: HostileWorld, options: object = {}): Promise<Stage> {
  const mallory = await malloryIn(world)
  const roomId = await createRoom(world.alice, options)
  await joinRoom(roomId, world.bob)
  const { room } = await visitRoom(mallory.peer, world.home, { roomId })
  return { ...mallory, roomId, room }
}

/** Changes fields of an event, and hashes and signs it again. */
export function altered({ peer }: Mallory, event: Event | Pdu, change: object, version = '12'): Event {
  const { unsigned: _, ...pdu } = 'pdu' in event ? event.pdu : event
  const signed = signAnything({ ...pdu, ...change }, version, peer.signer) as Pdu
  return toEvent(ROOM_VERSIONS.get(version)!, signed)
}

/**
 * Sends events, and a valid message after them. Asserts that the message arrives and Alice gets none of the events.
 * Returns the response. Events of one server are processed in order.
 */
export async function expectDropped(
  { peer, room, roomId, world }: Stage,
  ...events: Event[]
): Promise<Record<string, { error?: string }>> {
  const marker = room.make({ content: { msgtype: 'm.text', body: 'proper' } })
  const answer = await peer.send(world.home, [...events, marker])
  await pollUntil('the proper message arrives', () => hasEvent(world.alice, marker))
  for (const { event_id } of events) {
    const { status } = await world.alice.ask('GET', roomPath(roomId, eventPath('event', event_id)))
    expect([event_id, status]).toEqual([event_id, 404])
  }
  return answer
}

/** Returns the content of a state event that Alice gets; undefined: there is none. */
export async function stateSeen(
  { roomId, world }: Pick<Stage, 'roomId' | 'world'>,
  type: string,
  key = '',
): Promise<JsonObject | undefined> {
  const path = roomPath(roomId, `state/${encodeURIComponent(type)}/${encodeURIComponent(key)}`)
  const { status, body } = await world.alice.ask('GET', path)
  return status === 200 ? body : undefined
}

/** Asserts that a request was refused. */
export function expectRefused(answer: Pick<Answer, 'status' | 'body'>, status: number, errcode: string): void {
  expect([answer.status, answer.body.errcode, answer.body.error]).toEqual([status, errcode, expect.any(String)])
}

/** Part of a path. */
export const name = encodeURIComponent

/** Returns an ID that no event has. */
export function inventedId(what: string): EventId {
  return `$${Buffer.from(what.padEnd(32, '.').slice(0, 32)).toString('base64url')}` as EventId
}
