import { EventType, type MatrixClient, type MatrixEvent, MsgType, Preset, RelationType, type Room } from 'matrix-js-sdk'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser } from '../harness/client.ts'
import { startSdk } from '../harness/sdk.ts'

/** The main job, as matrix-js-sdk does it: two users find each other and talk. */
const { url } = inject('homeserver')
let alice: MatrixClient
let bob: MatrixClient
let roomId: string

beforeAll(async () => {
  const users = await Promise.all([registerUser(url), registerUser(url)])
  ;[alice, bob] = (await Promise.all(users.map((user) => startSdk(user)))) as [MatrixClient, MatrixClient]
})
afterAll(() => {
  alice?.stopClient()
  bob?.stopClient()
})

function roomOf(client: MatrixClient): Room {
  const room = client.getRoom(roomId)
  if (!room) throw new Error('the client does not have the room')
  return room
}

/** The event once it is in the client's timeline. */
function seen(
  client: MatrixClient,
  eventId: string,
  holds: (event: MatrixEvent) => boolean = () => true,
): Promise<MatrixEvent> {
  return pollUntil(`${client.getUserId()} sees ${eventId}`, () => {
    const event = roomOf(client).findEventById(eventId)
    return event && holds(event) ? event : undefined
  })
}

test('one creates a room and invites, the other joins', async () => {
  ;({ room_id: roomId } = await alice.createRoom({
    preset: Preset.PrivateChat,
    name: 'Tea',
    invite: [bob.getUserId()!],
  }))
  await pollUntil('Bob is invited', () => bob.getRoom(roomId)?.getMyMembership() === 'invite')
  expect(roomOf(bob).name).toBe('Tea')
  await bob.joinRoom(roomId)
  await pollUntil('Alice sees Bob join', () => roomOf(alice).getMember(bob.getUserId()!)?.membership === 'join')
  await pollUntil('Bob has joined', () => roomOf(bob).getMyMembership() === 'join')
})

test('they talk both ways', async () => {
  const hello = await alice.sendTextMessage(roomId, 'Hello Bob')
  const atBob = await seen(bob, hello.event_id)
  expect(atBob.getContent().body).toBe('Hello Bob')
  const answer = await bob.sendTextMessage(roomId, 'Hello Alice')
  expect((await seen(alice, answer.event_id)).getSender()).toBe(bob.getUserId())
})

test('an edit replaces, a reaction is counted, a redaction empties', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'teh')
  await alice.sendMessage(roomId, {
    msgtype: MsgType.Text,
    body: '* the',
    'm.new_content': { msgtype: MsgType.Text, body: 'the' },
    'm.relates_to': { rel_type: RelationType.Replace, event_id: eventId },
  })
  await seen(bob, eventId, (event) => event.getContent().body === 'the')
  await bob.sendEvent(roomId, EventType.Reaction, {
    'm.relates_to': { rel_type: RelationType.Annotation, event_id: eventId, key: '👍' },
  })
  await pollUntil('Alice sees the reaction', () => {
    const reactions = roomOf(alice).relations.getChildEventsForEvent(
      eventId,
      RelationType.Annotation,
      EventType.Reaction,
    )
    return reactions?.getSortedAnnotationsByKey()?.some(([key]) => key === '👍')
  })
  await alice.redactEvent(roomId, eventId)
  const redacted = await seen(bob, eventId, (event) => event.isRedacted())
  expect(redacted.getContent().body).toBeUndefined()
  const fetched = await alice.fetchRoomEvent(roomId, eventId)
  expect(fetched.content).toEqual({})
  expect(fetched.unsigned?.redacted_because).toBeDefined()
})

test('a newcomer to the room pages back to its beginning', async () => {
  for (let i = 0; i < 45; i++) await alice.sendTextMessage(roomId, `message ${i}`)
  const fresh = await startSdk({ ...(await userOf(bob)), url } as never)
  const room = fresh.getRoom(roomId)!
  while (await fresh.paginateEventTimeline(room.getLiveTimeline(), { backwards: true, limit: 30 })) {}
  const timeline = room.getLiveTimeline().getEvents()
  expect(timeline[0]!.getType()).toBe('m.room.create')
  const bodies = timeline.map((event) => event.getContent().body)
  expect(bodies.filter((body) => /^message \d+$/.test(body ?? ''))).toEqual(
    Array.from({ length: 45 }, (_, i) => `message ${i}`),
  )
  fresh.stopClient()
})

async function userOf(client: MatrixClient) {
  return { userId: client.getUserId()!, deviceId: client.getDeviceId()!, accessToken: client.getAccessToken()! }
}

test('an image arrives, with a thumbnail of the size asked for', async () => {
  const picture = await sharp({ create: { width: 1200, height: 900, channels: 3, background: '#c06020' } })
    .png()
    .toBuffer()
  const { content_uri: uri } = await alice.uploadContent(picture, { type: 'image/png', name: 'tea.png' })
  const { event_id: eventId } = await alice.sendMessage(roomId, {
    msgtype: MsgType.Image,
    body: 'tea.png',
    url: uri,
    info: { mimetype: 'image/png', w: 1200, h: 900, size: picture.length },
  })
  const image = await seen(bob, eventId)
  const headers = { Authorization: `Bearer ${bob.getAccessToken()}` }
  const whole = await fetch(
    bob.mxcUrlToHttp(image.getContent().url, undefined, undefined, undefined, true, true, true)!,
    { headers },
  )
  expect(whole.headers.get('content-type')).toBe('image/png')
  expect(Buffer.from(await whole.arrayBuffer()).equals(picture)).toBe(true)
  const small = await fetch(bob.mxcUrlToHttp(image.getContent().url, 320, 240, 'scale', true, true, true)!, { headers })
  expect(small.status).toBe(200)
  const size = await sharp(Buffer.from(await small.arrayBuffer())).metadata()
  expect([size.width, size.height]).toEqual([320, 240])
  const stranger = await fetch(
    bob.mxcUrlToHttp(image.getContent().url, undefined, undefined, undefined, true, true, true)!,
  )
  expect(stranger.status).toBe(401)
})

test('typing shows and goes', async () => {
  await bob.sendTyping(roomId, true, 20_000)
  await pollUntil('Alice sees Bob type', () => roomOf(alice).getMember(bob.getUserId()!)?.typing)
  await bob.sendTyping(roomId, false, 0)
  await pollUntil('Alice sees Bob stop', () => roomOf(alice).getMember(bob.getUserId()!)?.typing === false)
})

test('a read receipt arrives', async () => {
  const { event_id: eventId } = await alice.sendTextMessage(roomId, 'read me')
  await bob.sendReadReceipt(await seen(bob, eventId))
  await pollUntil('Alice sees the receipt', () => roomOf(alice).hasUserReadEvent(bob.getUserId()!, eventId))
})
