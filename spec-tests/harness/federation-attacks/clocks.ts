import { expect } from 'vitest'
import type { Event } from '../../../testing/matrix/pdu.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import { sendText } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { createRoom, eventPath, hasEvent, joinRoom, roomPath } from '../rooms.ts'
import { visitRoom } from '../visit-room.ts'
import { altered, name, newMallory, type Stage } from './mallory.ts'
import { publishKeys } from './requests.ts'

/** Servers with wrong clocks. */
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * Creates a room that a new server has joined, whose keys are valid for an hour by a clock that is wrong by `skewMs`.
 */
async function stageWithClock(world: HostileWorld, skewMs: number): Promise<Stage> {
  const mallory = await newMallory(world)
  publishKeys(mallory.peer, (keys) => ({ ...keys, valid_until_ts: Date.now() + HOUR_MS + skewMs }))
  const roomId = await createRoom(world.alice)
  await joinRoom(roomId, world.bob)
  const { room } = await visitRoom(mallory.peer, world.home, { roomId })
  return { ...mallory, roomId, room }
}

/** Creates a message of that server with a timestamp `skewMs` from now. */
function messageAt(stage: Stage, skewMs: number): Event {
  const made = stage.room.make({ content: { msgtype: 'm.text', body: 'from another time' } })
  return altered(stage, made, { origin_server_ts: Date.now() + skewMs })
}

async function newestOf({ world, roomId }: Stage, count: number): Promise<string[]> {
  const { chunk } = await world.bob.get(roomPath(roomId, `messages?dir=b&limit=${count}`))
  return chunk.map(({ event_id }: { event_id: string }) => event_id)
}

/** Returns a row about an event that is accepted, at its place of arrival. */
function counts(what: string, { clock, event: skewMs }: { clock: number; event: number }): Attack {
  return {
    name: `clocks: ${what}`,
    async attempt(world) {
      const stage = await stageWithClock(world, clock)
      const event = messageAt(stage, skewMs)
      await stage.peer.send(world.home, [event])
      await pollUntil('Alice gets the event', () => hasEvent(world.alice, event))
      const later = await sendText(world.alice, stage.roomId, 'later')
      expect(await newestOf(stage, 2)).toEqual([later, event.event_id])
    },
  }
}

/** Returns a row about an event that no key of its time verifies. */
function countsNot(what: string, { clock, event: skewMs }: { clock: number; event: number }): Attack {
  return {
    name: `clocks: ${what}`,
    async attempt(world) {
      const stage = await stageWithClock(world, clock)
      const event = messageAt(stage, skewMs)
      const present = messageAt(stage, 0)
      await stage.peer.send(world.home, [event])
      await stage.peer.send(world.home, [present])
      await pollUntil('Alice gets the other event', () => hasEvent(world.alice, present))
      const { status } = await world.alice.ask('GET', roomPath(stage.roomId, eventPath('event', event.event_id)))
      expect(status).toBe(404)
    },
  }
}

export const CLOCK_ATTACKS: Attack[] = [
  counts('an event from 400 days ago', { clock: 0, event: -400 * DAY_MS }),
  counts('an event from three days ago', { clock: 0, event: -3 * DAY_MS }),
  counts('an event from 1970', { clock: 0, event: -Date.now() }),
  counts('an event from half an hour ahead', { clock: 0, event: HOUR_MS / 2 }),
  counts('a server whose clock is three days ahead, keys included', { clock: 3 * DAY_MS, event: 3 * DAY_MS }),
  countsNot('an event from three days ahead, when the key is valid no more', { clock: 0, event: 3 * DAY_MS }),
  countsNot('a server whose clock is 30 days ahead: keys count for seven', { clock: 30 * DAY_MS, event: 30 * DAY_MS }),
  {
    name: 'clocks: a server whose clock is three days behind, so that its keys have expired',
    async attempt(world) {
      const { peer, ask } = await newMallory(world)
      publishKeys(peer, (keys) => ({ ...keys, valid_until_ts: Date.now() + HOUR_MS - 3 * DAY_MS }))
      const { status, body } = await ask('GET', `v1/query/profile?user_id=${name(world.alice.userId)}`)
      expect([status, body.errcode]).toEqual([401, 'M_UNAUTHORIZED'])
      await world.alice.ask('GET', `/_matrix/client/v3/profile/${name(`@x:${peer.serverName}`)}`)
    },
  },
]
