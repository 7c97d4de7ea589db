import { expect } from 'vitest'
import { toEvent } from '../../../testing/matrix/events.ts'
import type { Event, EventId } from '../../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, sendText } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { eventPath, hasEvent, historyOf, roomPath, sendState, v3 } from '../rooms.ts'
import { altered, expectDropped, inventedId, malloryIn, type Stage, stageIn, stateSeen } from './mallory.ts'

/** Events that are forged, misplaced, or against the rules of their room. */
const text = (body: string) => ({ content: { msgtype: 'm.text', body } })
const FAR = Date.UTC(3000, 0)
const DEEPEST = Number.MAX_SAFE_INTEGER

/** Returns a row about events that must reach nobody. `make`: in a room of its own. */
function dropped(what: string, make: (stage: Stage) => Event[] | Promise<Event[]>, options: object = {}): Attack {
  return {
    name: `events: ${what}`,
    async attempt(world) {
      const stage = await stageIn(world, options)
      await expectDropped(stage, ...(await make(stage)))
    },
  }
}

/** Makes the hostile user a moderator who may set the topic. */
async function promote({ world, roomId, room, userId }: Stage, level: number): Promise<Event> {
  const { users = {}, ...levels } = (await stateSeen({ world, roomId }, 'm.room.power_levels')) as { users?: object }
  const content = { ...levels, users: { ...users, [userId]: level } }
  const id = (await sendState(world.alice, roomId, { type: 'm.room.power_levels', content })) as EventId
  return pollUntil('the server has the new power levels', () => room.find(id))
}

async function heard({ world }: Stage, event: Event): Promise<void> {
  await pollUntil('the event is there', () => hasEvent(world.alice, event))
}

/** Creates a room of version 1, in which IDs are chosen, with events that reference each other in a circle. */
async function circle(stage: Stage, length: number, field: 'prev_events' | 'auth_events'): Promise<Event[]> {
  const ids = Array.from({ length }, (_, i) => `$circle${i}-${Math.random()}:${stage.peer.serverName}`)
  const model = stage.room.make(text('circular'))
  return ids.map((event_id, place) => {
    const next = [ids[(place + 1) % length]!, { sha256: 'A'.repeat(43) }]
    const cited = field === 'prev_events' ? [next] : [...model.pdu.auth_events, next]
    return altered(stage, model, { event_id, [field]: cited }, '1')
  })
}

export const EVENT_ATTACKS: Attack[] = [
  // Since version 5 a key has to be valid at the event's timestamp.
  dropped('from the year 3000', (stage) => [
    altered(stage, stage.room.make(text('from the future')), { origin_server_ts: FAR }),
  ]),
  {
    name: 'events: from the year 3000, in a version that takes them',
    async attempt(world) {
      const stage = await stageIn(world, { room_version: '4' })
      const future = altered(stage, stage.room.make(text('from the future')), { origin_server_ts: FAR }, '4')
      await stage.peer.send(world.home, [future])
      await heard(stage, future)
      const now = await sendText(world.bob, stage.roomId, 'now')
      expect((await historyOf(world.alice, stage.roomId)).at(-1)!.event_id).toBe(now)
    },
  },
  {
    name: 'events: from before the epoch',
    async attempt(world) {
      const stage = await stageIn(world)
      const past = altered(stage, stage.room.make(text('from the past')), { origin_server_ts: -FAR })
      await stage.peer.send(world.home, [past])
      await heard(stage, past)
    },
  },
  ...[DEEPEST, DEEPEST - 1].map(
    (depth): Attack => ({
      name: `events: of depth ${depth}, so that nothing could be deeper`,
      async attempt(world) {
        const stage = await stageIn(world)
        const deep = altered(stage, stage.room.make(text('deep')), { depth })
        await stage.peer.send(world.home, [deep])
        await heard(stage, deep)
        // Each is one deeper than the one before it, up to the maximum.
        const ids = [await sendText(world.alice, stage.roomId, 'one'), await sendText(world.bob, stage.roomId, 'two')]
        const last = await pollUntil('the server hears them', () => stage.room.find(ids[1] as EventId))
        expect(last.pdu.depth).toBe(DEEPEST)
        expect((await historyOf(world.alice, stage.roomId)).slice(-2).map(({ event_id }) => event_id)).toEqual(ids)
      },
    }),
  ),
  ...(
    [
      ['that follow one another in a circle', 2, 'prev_events'],
      ['that follow themselves', 1, 'prev_events'],
      ['that permit one another in a circle', 3, 'auth_events'],
      ['that permit themselves', 1, 'auth_events'],
    ] as const
  ).map(
    ([what, length, field]): Attack => ({
      name: `events: ${what}`,
      async attempt(world) {
        const stage = await stageIn(world, { room_version: '1' })
        const events = await circle(stage, length, field)
        const { peer, room } = stage
        const pdus = events.map(({ pdu }) => pdu)
        peer.lie('missing_events', () => ({ events: pdus }))
        peer.lie('event_auth', () => ({ auth_chain: pdus }))
        peer.lie('event', ({ path }) => {
          const found = pdus.find(({ event_id }) => path.endsWith(encodeURIComponent(event_id!)))
          return found && { origin: peer.serverName, origin_server_ts: 1, pdus: [found] }
        })
        const before = peer.asked.length
        const marker = room.make(text('proper'))
        await peer.send(world.home, [...events, marker])
        await heard(stage, marker)
        expect(peer.asked.length - before).toBeLessThan(60)
        for (const kind of ['missing_events', 'event_auth', 'event'] as const) peer.lie(kind, undefined)
      },
    }),
  ),
  {
    name: 'events: with twenty predecessors that nobody has: few questions, and others are heard meanwhile',
    async attempt(world) {
      const stage = await stageIn(world)
      const prev_events = Array.from({ length: 20 }, (_, i) => inventedId(`unknown ${i}`))
      const wide = altered(stage, stage.room.make(text('wide')), { prev_events })
      const before = stage.peer.asked.length
      await stage.peer.send(world.home, [wide])
      await pollUntil('the server is asked', () => stage.peer.count('state_ids') > 0)
      const marker = stage.room.make(text('proper'))
      await stage.peer.send(world.home, [marker])
      await heard(stage, marker)
      expect(await hasEvent(world.alice, wide)).toBe(false)
      expect(stage.peer.asked.length - before).toBeLessThan(60)
    },
  },
  {
    name: 'events: with unsigned parts that clients would believe',
    async attempt(world) {
      const stage = await stageIn(world)
      const event = stage.room.make(text('unsigned'))
      const unsigned = {
        age: 99,
        transaction_id: 'mine',
        prev_content: { body: 'forged' },
        redacted_because: { type: 'm.room.redaction', sender: world.alice.userId, content: {} },
        'm.relations': { 'm.thread': { count: 5 }, 'm.replace': { content: { body: 'forged' } } },
        membership: 'ban',
      }
      await stage.peer.send(world.home, [{ ...event.pdu, unsigned }])
      await heard(stage, event)
      const seen = await world.alice.get(roomPath(stage.roomId, eventPath('event', event.event_id)))
      for (const key of ['transaction_id', 'prev_content', 'redacted_because', 'm.relations'])
        expect(seen.unsigned ?? {}).not.toHaveProperty([key])
      expect(seen.unsigned?.membership ?? 'join').toBe('join')
    },
  },
  {
    name: 'events: the same with other unsigned parts and further signatures, again and again',
    async attempt(world) {
      const stage = await stageIn(world)
      const event = stage.room.make(text('again'))
      const more = (i: number) => ({ ...event.pdu.signatures, [`server${i}.test`]: { 'ed25519:x': 'A'.repeat(86) } })
      const copies = Array.from({ length: 50 }, (_, i) => ({
        ...event.pdu,
        unsigned: { age: i },
        ...(i > 0 && { signatures: more(i) }),
      }))
      await stage.peer.send(world.home, copies)
      await heard(stage, event)
      const seen = (await historyOf(world.alice, stage.roomId)).filter(({ event_id }) => event_id === event.event_id)
      expect(seen).toHaveLength(1)
    },
  },
  {
    name: 'events: of a room in which users are no more than invited',
    async attempt(world) {
      const { peer, userId } = await malloryIn(world)
      const victim = await registerUser(world.url)
      const room = peer.room()
      const invite = room.add({ type: 'm.room.member', state_key: victim.userId, content: { membership: 'invite' } })
      const path = `/_matrix/federation/v2/invite/${encodeURIComponent(room.roomId)}/${encodeURIComponent(invite.event_id)}`
      const state = room.stateNow().map(({ pdu }) => pdu)
      await peer.ask(world.home, 'PUT', path, { room_version: '12', event: invite.pdu, invite_room_state: state })
      const [message] = room.say(1) as [Event]
      const answer = await peer.send(world.home, [message])
      expect(answer[message.event_id]).toHaveProperty('error')
      expect(await hasEvent(victim, message)).toBe(false)
      expect(userId).not.toBe(victim.userId)
    },
  },
  dropped('a room id with a server name in version 12', (stage) => {
    const event = altered(stage, stage.room.make(text('x')), { room_id: `${stage.roomId}:${stage.peer.serverName}` })
    return [{ ...event, room_id: stage.roomId as Event['room_id'] }]
  }),
  dropped('a create event that names a room in version 12', (stage) => {
    const content = { room_version: '12' }
    const change = { type: 'm.room.create', state_key: '', content, prev_events: [], auth_events: [] }
    return [altered(stage, stage.room.make(text('x')), change)]
  }),
  dropped('that cite the create event in version 12', (stage) => {
    const event = stage.room.make(text('x'))
    const createId = `$${stage.roomId.slice(1)}` as EventId
    return [altered(stage, event, { auth_events: [...event.auth_event_ids, createId] })]
  }),
  dropped('that cite events of another room', async (stage) => {
    const other = await stageIn(stage.world)
    const event = stage.room.make(text('x'))
    const [levels] = other.room.stateNow().filter(({ pdu }) => pdu.type === 'm.room.power_levels')
    const auth_events = event.auth_event_ids.filter((id) => stage.room.find(id)?.pdu.type !== 'm.room.power_levels')
    return [altered(stage, event, { auth_events: [...auth_events, levels!.event_id] })]
  }),
  dropped('that follow events of another room', async (stage) => {
    const other = await stageIn(stage.world)
    return [altered(stage, stage.room.make(text('x')), { prev_events: [other.room.latest.event_id] })]
  }),
  dropped('that cite an event which was rejected', (stage) => {
    const join = stage.room.make({
      type: 'm.room.member',
      state_key: `@friend:${stage.peer.serverName}`,
      content: { membership: 'join' },
    })
    const next = stage.room.make({
      ...text('x'),
      auth_events: [...stage.room.make(text('y')).auth_event_ids, join.event_id],
    })
    return [join, next]
  }),
  dropped('of a user who has not joined, citing the membership of one who has', (stage) => {
    const event = stage.room.make(text('x'))
    return [altered(stage, event, { sender: `@stranger:${stage.peer.serverName}` })]
  }),
  dropped('state that is kept for a user of this server, by a moderator', async (stage) => {
    await promote(stage, 50)
    const settings = { type: 'org.example.settings', content: { forged: true } }
    return [stage.room.make({ ...settings, state_key: stage.world.alice.userId })]
  }),
  dropped('state without the power for it', (stage) =>
    ['m.room.name', 'm.room.topic', 'm.room.server_acl', 'm.room.tombstone', 'm.room.join_rules'].map((type) =>
      stage.room.make({ type, state_key: '', content: { name: 'x', topic: 'x', allow: [], join_rule: 'public' } }),
    ),
  ),
  dropped('kicks, bans and invites without the power for them', (stage) => {
    const { alice, bob } = stage.world
    const member = (userId: string, membership: string) =>
      stage.room.make({ type: 'm.room.member', state_key: userId, content: { membership } })
    return [member(bob.userId, 'leave'), member(bob.userId, 'ban'), member(alice.userId, 'ban')]
  }),
  dropped('a member event with a membership that there is not', (stage) =>
    ['', 'owner', 'JOIN', null, 5, ['join']].map((membership) =>
      stage.room.make({ type: 'm.room.member', state_key: stage.userId, content: { membership } }),
    ),
  ),
  {
    name: 'events: state by power that the user has lost since, from before it was lost',
    async attempt(world) {
      const stage = await stageIn(world)
      await promote(stage, 50)
      const before = stage.room.latest.event_id
      const name = stage.room.add({ type: 'm.room.topic', state_key: '', content: { topic: 'fine' } })
      await stage.peer.send(world.home, [name])
      await heard(stage, name)
      await promote(stage, 0)
      const late = stage.room.make({
        type: 'm.room.topic',
        state_key: '',
        content: { topic: 'late revenge' },
        prev_events: [before],
      })
      const marker = stage.room.make(text('proper'))
      await stage.peer.send(world.home, [late, marker])
      await heard(stage, marker)
      expect(await stateSeen(stage, 'm.room.topic')).toEqual({ topic: 'fine' })
    },
  },
  {
    name: 'events: messages of a banned user, from before the ban',
    async attempt(world) {
      const stage = await stageIn(world)
      const before = stage.room.latest.event_id
      await world.alice.post(roomPath(stage.roomId, 'ban'), { user_id: stage.userId })
      const other = await stageIn(world)
      const late = stage.room.make({ ...text('late'), prev_events: [before] })
      const marker = other.room.make(text('proper'))
      await stage.peer.send(world.home, [late, marker])
      await heard(other, marker)
      expect((await historyOf(world.alice, stage.roomId)).map(({ event_id }) => event_id)).not.toContain(late.event_id)
    },
  },
  {
    name: 'events: power levels that name a creator in version 12',
    async attempt(world) {
      const { peer } = await malloryIn(world)
      const room = peer.room()
      await world.alice.post(`${v3}/join/${encodeURIComponent(room.roomId)}?via=${encodeURIComponent(peer.serverName)}`)
      const levels = room.make({
        type: 'm.room.power_levels',
        state_key: '',
        content: { users: { [room.creator]: 100, [world.alice.userId]: 100 } },
      })
      await expectDropped({ ...(await malloryIn(world)), room, roomId: room.roomId }, levels)
    },
  },
  ...Object.entries<unknown>({
    text: '100',
    'a list': [100],
    'an object': { level: 100 },
    true: true,
    null: null,
  }).map(
    ([what, level]): Attack => ({
      name: `events: a power level that is ${what}`,
      async attempt(world) {
        const mallory = await malloryIn(world)
        const room = mallory.peer.room()
        const via = encodeURIComponent(mallory.peer.serverName)
        await world.alice.post(`${v3}/join/${encodeURIComponent(room.roomId)}?via=${via}`)
        const levels = (content: object) => room.make({ type: 'm.room.power_levels', state_key: '', content })
        const events = [{ users: { [world.alice.userId]: level } }, { events_default: level }, { events: { x: level } }]
        const stage = { ...mallory, room, roomId: room.roomId }
        await expectDropped(stage, ...events.map(levels))
        expect(await stateSeen(stage, 'm.room.power_levels')).toEqual({ users: {} })
      },
    }),
  ),
  {
    name: 'events: redactions of what Alice has said, and of other rooms',
    async attempt(world) {
      const stage = await stageIn(world)
      const here = await sendText(world.alice, stage.roomId, 'mine')
      const redaction = (redacts: string) =>
        stage.room.make({ type: 'm.room.redaction', content: { redacts, reason: 'none' } })
      const marker = stage.room.make(text('proper'))
      await stage.peer.send(world.home, [redaction(here), redaction(world.eventId), marker])
      await heard(stage, marker)
      for (const [roomId, id, body] of [
        [stage.roomId, here, 'mine'],
        [world.roomId, world.eventId, 'hello'],
      ] as const)
        expect((await world.alice.get(roomPath(roomId, eventPath('event', id)))).content.body).toBe(body)
    },
  },
  {
    name: 'events: redactions of the events that make the room',
    async attempt(world) {
      const stage = await stageIn(world)
      const makers = stage.room.stateNow().filter(({ pdu }) => pdu.sender === world.alice.userId)
      const redactions = makers.map(({ event_id }) =>
        stage.room.make({ type: 'm.room.redaction', content: { redacts: event_id } }),
      )
      const before = await world.alice.get(roomPath(stage.roomId, 'state'))
      const marker = stage.room.make(text('proper'))
      await stage.peer.send(world.home, [...redactions, marker])
      await heard(stage, marker)
      const content = (events: { event_id: string; content: object }[]) =>
        events.map((event) => [event.event_id, event.content]).sort()
      const after = await world.alice.get(roomPath(stage.roomId, 'state'))
      expect(content(after)).toEqual(content(before))
    },
  },
  {
    name: 'events: two hundred forks at once',
    async attempt(world) {
      const stage = await stageIn(world)
      const from = stage.room.latest.event_id
      const forks = Array.from({ length: 200 }, (_, i) => stage.room.make({ ...text(`${i}`), prev_events: [from] }))
      for (let start = 0; start < forks.length; start += 50)
        await stage.peer.send(world.home, forks.slice(start, start + 50))
      await heard(stage, forks.at(-1)!)
      // The next event has no more prev events than allowed.
      const id = (await sendText(world.alice, stage.roomId, 'after')) as EventId
      const after = await pollUntil('the server hears it', () => stage.room.find(id))
      expect(after.prev_event_ids.length).toBeLessThanOrEqual(20)
    },
  },
  {
    name: 'events: in the name of a server whose keys are those of the hostile one',
    async attempt(world) {
      const stage = await stageIn(world)
      const event = stage.room.make(text('x'))
      const sender = `@peer:${world.peer.serverName}`
      const claimed = altered(stage, event, { sender })
      const signature = Object.values(claimed.pdu.signatures)[0]!
      const forged = { ...claimed.pdu, signatures: { [world.peer.serverName]: signature } }
      const version = ROOM_VERSIONS.get('12')!
      await expectDropped(stage, toEvent(version, forged))
    },
  },
]
