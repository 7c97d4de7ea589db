import { expect } from 'vitest'
import type { Attack } from '../hostile-world.ts'
import { createRoom, roomPath, sendState } from '../rooms.ts'
import { name, newMallory, stageIn } from './mallory.ts'

/** Paths by which servers read rooms. */
const READING = (roomId: string, eventId: string): [string, string, object?][] => [
  ['GET', `v1/event/${name(eventId)}`],
  ['GET', `v1/state/${name(roomId)}?event_id=${name(eventId)}`],
  ['GET', `v1/state_ids/${name(roomId)}?event_id=${name(eventId)}`],
  ['GET', `v1/event_auth/${name(roomId)}/${name(eventId)}`],
  ['GET', `v1/backfill/${name(roomId)}?v=${name(eventId)}&limit=10`],
  ['POST', `v1/get_missing_events/${name(roomId)}`, { earliest_events: [], latest_events: [eventId], limit: 10 }],
  ['GET', `v1/timestamp_to_event/${name(roomId)}?ts=1&dir=f`],
]

export const READING_ATTACKS: Attack[] = [
  {
    name: 'reading: a room where the server is not',
    async attempt(world) {
      const mallory = await newMallory(world)
      const roomId = await createRoom(world.alice)
      const [{ event_id: eventId }] = await world.alice.get(roomPath(roomId, 'state'))
      for (const [method, path, body] of READING(roomId, eventId)) {
        const answer = await mallory.ask(method, path, body)
        expect([path, answer.status, answer.body.errcode]).toEqual([path, 403, 'M_FORBIDDEN'])
      }
    },
  },
  {
    name: 'reading: a room that keeps the server out, though it has joined',
    async attempt(world) {
      const stage = await stageIn(world)
      const content = { allow: ['*'], deny: ['localhost', stage.peer.serverName] }
      const eventId = await sendState(world.alice, stage.roomId, { type: 'm.room.server_acl', content })
      for (const [method, path, body] of READING(stage.roomId, eventId)) {
        const answer = await stage.ask(method, path, body)
        expect([path, answer.status, answer.body.errcode]).toEqual([path, 403, 'M_FORBIDDEN'])
      }
    },
  },
  {
    name: 'reading: events of a closed room by way of one that the server is in',
    async attempt(world) {
      const stage = await stageIn(world)
      const secret = await createRoom(world.alice, { preset: 'private_chat' })
      const [{ event_id: eventId }] = await world.alice.get(roomPath(secret, 'state'))
      for (const [method, path, body] of READING(stage.roomId, eventId).slice(1, 6)) {
        const { status, body: answer } = await stage.ask(method, path, body)
        const told = [answer.pdus, answer.events, answer.pdu_ids, answer.auth_chain].flat().filter(Boolean)
        expect([path, status === 200 ? told : 'refused']).toEqual([path, status === 200 ? [] : 'refused'])
      }
    },
  },
  {
    name: 'reading: what was said before the server came, where only members may read',
    async attempt(world) {
      const initial_state = [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }]
      const stage = await stageIn(world, { initial_state })
      await world.alice.post(roomPath(stage.roomId, 'kick'), { user_id: stage.userId })
      const secret = (
        await world.alice.put(roomPath(stage.roomId, `send/m.room.message/${Math.random()}`), { body: 'secret' })
      ).event_id
      const seen = JSON.stringify(
        await Promise.all(READING(stage.roomId, secret).map(([method, path, body]) => stage.ask(method, path, body))),
      )
      expect(seen).not.toContain('"secret"')
    },
  },
  ...(
    [
      ['a limit of a billion', { limit: 1e9 }, 200],
      ['a limit below zero', { limit: -1 }, 400],
      ['a limit that is text', { limit: 'many' }, 400],
      ['a depth of 2^60', { min_depth: 2 ** 60 }, 400],
      ['a hundred and one events', { latest_events: Array.from({ length: 101 }, (_, i) => `$${i}`) }, 400],
      ['events that are none', { latest_events: [5, null, {}] }, 400],
      ['the same events at both ends', 'same', 200],
    ] as const
  ).map(
    ([what, change, status]): Attack => ({
      name: `reading: missing events with ${what}`,
      async attempt(world) {
        const stage = await stageIn(world)
        const latest = [stage.room.latest.event_id]
        const wanted = { earliest_events: [], latest_events: latest, limit: 10 }
        const body = change === 'same' ? { ...wanted, earliest_events: latest } : { ...wanted, ...change }
        const answer = await stage.ask('POST', `v1/get_missing_events/${name(stage.roomId)}`, body)
        expect(answer.status).toBe(status)
        if (status === 200) expect(answer.body.events.length).toBeLessThanOrEqual(50)
      },
    }),
  ),
  {
    name: 'reading: a billion events of history, and history from two hundred places',
    async attempt(world) {
      const stage = await stageIn(world)
      const path = `v1/backfill/${name(stage.roomId)}`
      const all = await stage.ask('GET', `${path}?v=${name(stage.room.latest.event_id)}&limit=1000000000`)
      expect(all.body.pdus.length).toBeLessThanOrEqual(100)
      const places = Array.from({ length: 200 }, (_, i) => `v=$${i}`).join('&')
      expect((await stage.ask('GET', `${path}?${places}&limit=1`)).status).toBe(400)
    },
  },
]
