import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  refusal,
  relating,
  roomPath,
  sendEvent,
  sendState,
  v1,
  v3,
} from '../harness/rooms.ts'
import {
  agreeOnHistory,
  agreeOnState,
  joinVia,
  type SynapsePair,
  seesEvent,
  seesInvite,
  seesMember,
  serverOf,
  startPair,
  WAYS,
} from '../harness/synapse-pair.ts'

/** Versions, and those to which their rooms are upgraded. */
const VERSIONS = [
  ['1', '6'],
  ['6', '10'],
  ['10', '11'],
  ['11', '12'],
  ['12', '12'],
] as const
const PATIENCE_MS = 180_000

let pair: SynapsePair
const owners = new Map<string, TestUser>()
const guests = new Map<string, [TestUser, TestUser]>()

beforeAll(async () => {
  pair = await startPair({ synapse: { experimental_features: { msc4354_enabled: true } } })
  for (const side of ['Hearth', 'Synapse'] as const) {
    const { url } = pair[side]
    const [owner, guest, other] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
    owners.set(side, owner)
    guests.set(side, [guest, other])
  }
})
afterAll(() => pair?.dispose())

type Shared = { roomId: string; owner: TestUser; guest: TestUser }

describe.each(WAYS)('%s has the room, to which %s comes', (here, there) => {
  test.each(VERSIONS)(
    'version %s, upgraded to %s: all that happens in it is seen by both',
    async (version, next) => {
      const owner = owners.get(here)!
      const [guest, other] = guests.get(there)!
      const alias = uniqueName('square')
      const options = { preset: 'private_chat', room_version: version, name: 'Square', room_alias_name: alias }
      const shared = { roomId: await createRoom(owner, options), owner, guest }
      await inviteAndJoin(shared)
      await talk(shared)
      await stick(shared)
      await react(shared)
      await redact(shared)
      await govern(shared, other)
      await agreeOnState(shared.roomId, owner, guest)
      await agreeOnHistory(shared.roomId, owner, guest)
      await upgrade(shared, { alias: `#${alias}:${serverOf(owner)}`, next })
    },
    PATIENCE_MS,
  )
})

/** https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room */
async function inviteAndJoin({ roomId, owner, guest }: Shared): Promise<void> {
  await owner.post(roomPath(roomId, 'invite'), { user_id: guest.userId, reason: 'Come' })
  const told = await seesInvite(guest, roomId)
  expect(told).toContainEqual(expect.objectContaining({ type: 'm.room.name', content: { name: 'Square' } }))
  const invite = { membership: 'invite', reason: 'Come' }
  expect(told).toContainEqual(
    expect.objectContaining({ sender: owner.userId, content: expect.objectContaining(invite) }),
  )
  expect(await joinVia(guest, roomId)).toBe(roomId)
  await seesMember(owner, roomId, { of: guest, membership: 'join' })
}

/** https://spec.matrix.org/v1.19/client-server-api/#event-replacements */
async function talk({ roomId, owner, guest }: Shared): Promise<void> {
  for (const [speaker, listener] of [
    [owner, guest],
    [guest, owner],
  ] as const) {
    const said = await sendText(speaker, roomId, 'teh <ünicode> 🦄')
    expect((await seesEvent(listener, roomId, said)).content.body).toBe('teh <ünicode> 🦄')
    const better = { msgtype: 'm.text', body: 'the' }
    const edit = { ...better, 'm.new_content': better, 'm.relates_to': { rel_type: 'm.replace', event_id: said } }
    const editId = await sendEvent(speaker, roomId, edit)
    const isEdited = (event: ClientEvent) => event.unsigned?.['m.relations']?.['m.replace']?.event_id === editId
    for (const reader of [listener, speaker]) await seesEvent(reader, roomId, said, isEdited)
    const inThread = await sendEvent(listener, roomId, relating('m.thread', said))
    const isThread = (event: ClientEvent) =>
      event.unsigned?.['m.relations']?.['m.thread']?.latest_event.event_id === inThread
    await seesEvent(speaker, roomId, said, isThread)
  }
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4354 */
async function stick({ roomId, owner, guest }: Shared): Promise<void> {
  for (const [sender, reader] of [
    [owner, guest],
    [guest, owner],
  ] as const) {
    const path = `send/org.matrix.msc4143.rtc.member/${uniqueName()}?org.matrix.msc4354.sticky_duration_ms=600000`
    const { event_id: sent } = await sender.put(roomPath(roomId, path), { msc4354_sticky_key: 'device' })
    for (const user of [sender, reader]) {
      const { msc4354_sticky: sticky, unsigned } = await seesEvent(user, roomId, sent)
      expect(sticky).toEqual({ duration_ms: 600_000 })
      expect(unsigned.msc4354_sticky_duration_ttl_ms).toBeGreaterThan(300_000)
    }
  }
}

/** https://spec.matrix.org/v1.19/client-server-api/#event-annotations-and-reactions */
async function react({ roomId, owner, guest }: Shared): Promise<void> {
  const said = await sendText(owner, roomId, 'do you like it?')
  await seesEvent(guest, roomId, said)
  const reacted: string[] = []
  for (const [user, reader, key] of [
    [owner, guest, '👍'],
    [guest, owner, '👍'],
    [guest, owner, '🎉'],
  ] as const) {
    const content = { 'm.relates_to': { rel_type: 'm.annotation', event_id: said, key } }
    const eventId = await sendEvent(user, roomId, content, 'm.reaction')
    // One after the other, so that there is one order.
    await seesEvent(reader, roomId, eventId)
    reacted.push(eventId)
  }
  const path = roomPath(roomId, eventPath('relations', said), v1)
  for (const user of [owner, guest]) {
    const { chunk } = await user.get(`${path}/m.annotation`)
    expect(chunk.map(({ event_id }: ClientEvent) => event_id).reverse()).toEqual(reacted)
  }
}

/** https://spec.matrix.org/v1.19/client-server-api/#redactions */
async function redact({ roomId, owner, guest }: Shared): Promise<void> {
  const [mine, theirs] = [await sendText(guest, roomId, 'regretted'), await sendText(guest, roomId, 'unwanted')]
  await seesEvent(owner, roomId, theirs)
  for (const [user, eventId] of [
    [guest, mine],
    [owner, theirs],
  ] as const) {
    const path = roomPath(roomId, `${eventPath('redact', eventId)}/${uniqueName()}`)
    const { event_id: redaction } = await user.put(path, { reason: 'Better not' })
    for (const reader of [owner, guest]) {
      const { content, unsigned } = await seesEvent(reader, roomId, eventId, (event) => !event.content.body)
      expect(content).toEqual({})
      expect(unsigned.redacted_because).toMatchObject({ event_id: redaction, sender: user.userId })
    }
  }
}

/** Power levels, kicks and bans. https://spec.matrix.org/v1.19/client-server-api/#permissions */
async function govern({ roomId, owner, guest }: Shared, other: TestUser): Promise<void> {
  const topic = { type: 'm.room.topic', content: { topic: 'By a guest' } }
  const topicPath = roomPath(roomId, 'state/m.room.topic')
  expect(await refusal(guest, 'PUT', topicPath, topic.content)).toEqual([403, 'M_FORBIDDEN'])
  const levels = await owner.get(roomPath(roomId, 'state/m.room.power_levels'))
  const users = { ...levels.users, [guest.userId]: 50 }
  const raised = await sendState(owner, roomId, { type: 'm.room.power_levels', content: { ...levels, users } })
  await seesEvent(guest, roomId, raised)
  await seesEvent(owner, roomId, await sendState(guest, roomId, topic))
  // The guest's power is below the owner's.
  const tooMuch = { ...levels, users: { ...users, [guest.userId]: 100 } }
  expect(await refusal(guest, 'PUT', roomPath(roomId, 'state/m.room.power_levels'), tooMuch)).toEqual([
    403,
    'M_FORBIDDEN',
  ])
  expect(await refusal(guest, 'POST', roomPath(roomId, 'kick'), { user_id: owner.userId })).toEqual([
    403,
    'M_FORBIDDEN',
  ])
  for (const [verb, membership] of [
    ['kick', 'leave'],
    ['ban', 'ban'],
  ] as const) {
    await guest.post(roomPath(roomId, 'invite'), { user_id: other.userId })
    await seesInvite(other, roomId)
    await joinVia(other, roomId, owner)
    await seesMember(owner, roomId, { of: other, membership: 'join' })
    await owner.post(roomPath(roomId, verb), { user_id: other.userId, reason: verb })
    expect(await seesMember(guest, roomId, { of: other, membership })).toMatchObject({ reason: verb })
    await pollUntil('who was sent away is out', async () => !(await isIn(other, roomId)))
    expect((await other.ask('POST', roomPath(roomId, 'join'), {})).status).toBe(403)
  }
  await owner.post(roomPath(roomId, 'unban'), { user_id: other.userId })
  await seesMember(guest, roomId, { of: other, membership: 'leave' })
}

async function isIn(user: TestUser, roomId: string): Promise<boolean> {
  const { joined_rooms } = await user.get(`${v3}/joined_rooms`)
  return joined_rooms.includes(roomId)
}

/** https://spec.matrix.org/v1.19/client-server-api/#room-upgrades */
async function upgrade({ roomId, owner, guest }: Shared, to: { alias: string; next: string }): Promise<void> {
  await sendState(owner, roomId, { type: 'm.room.join_rules', content: { join_rule: 'public' } })
  const { replacement_room: newRoom } = await owner.post(roomPath(roomId, 'upgrade'), { new_version: to.next })
  await pollUntil('the guest sees where it goes on', async () => {
    const { replacement_room } = await guest.get(roomPath(roomId, 'state/m.room.tombstone'))
    return replacement_room === newRoom
  })
  await agreeOnState(roomId, owner, guest)
  await joinVia(guest, newRoom, owner)
  await seesMember(owner, newRoom, { of: guest, membership: 'join' })
  const create = await guest.get(roomPath(newRoom, 'state/m.room.create'))
  expect(create).toMatchObject({ room_version: to.next, predecessor: { room_id: roomId } })
  expect(await guest.get(roomPath(newRoom, 'state/m.room.topic'))).toEqual({ topic: 'By a guest' })
  const found = await guest.get(`${v3}/directory/room/${encodeURIComponent(to.alias)}`)
  expect(found.room_id).toBe(newRoom)
  await seesEvent(owner, newRoom, await sendText(guest, newRoom, 'here we go on'))
  await agreeOnState(newRoom, owner, guest)
  await agreeOnHistory(newRoom, owner, guest)
}
