import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  eventPath,
  ignore,
  joinRoom,
  refusal,
  relating,
  roomOfTwo,
  roomPath,
  sendEvent,
  sendState,
  sendTexts,
  syncedRoom,
  v1,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let target: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
  target = await sendText(alice, roomId, 'a walrus')
})

const relations = (rest = '', user = alice) =>
  user.get(roomPath(roomId, `${eventPath('relations', target)}${rest}`, v1))
const idsOf = (chunk: readonly ClientEvent[]) => chunk.map(({ event_id }) => event_id)
const react = (user: TestUser, key: string, eventId = target) =>
  sendEvent(user, roomId, { 'm.relates_to': { rel_type: 'm.annotation', event_id: eventId, key } }, 'm.reaction')
const edit = (user: TestUser, body: string, more: object = {}, eventId = target) =>
  sendEvent(user, roomId, {
    msgtype: 'm.text',
    body: `* ${body}`,
    'm.new_content': { msgtype: 'm.text', body },
    'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    ...more,
  })
const redact = (user: TestUser, eventId: string) =>
  user.put(roomPath(roomId, `${eventPath('redact', eventId)}/${eventId.slice(1, 9)}`))

/** https://spec.matrix.org/v1.19/client-server-api/#relationships-api */
describe('/relations', () => {
  test('by type of relation and of event, newest first or oldest first', async () => {
    const references = [
      await sendEvent(bob, roomId, relating('m.reference', target)),
      await sendEvent(bob, roomId, relating('m.reference', target), 'org.example.thing'),
    ]
    const reaction = await react(bob, '👍')
    expect(idsOf((await relations()).chunk)).toEqual([reaction, ...references.toReversed()])
    expect(idsOf((await relations('?dir=f')).chunk)).toEqual([...references, reaction])
    expect(idsOf((await relations('/m.reference')).chunk)).toEqual(references.toReversed())
    expect(idsOf((await relations('/m.reference/org.example.thing')).chunk)).toEqual([references[1]])
    expect((await relations('/org.example.none')).chunk).toEqual([])
    const unstable = roomPath(roomId, eventPath('relations', target), '/_matrix/client/unstable')
    expect(idsOf((await alice.get(`${unstable}/m.annotation`)).chunk)).toEqual([reaction])
  })

  test.each(['b', 'f'])('in pages, dir=%s', async (dir) => {
    const ids: string[] = []
    for (let i = 0; i < 7; i++) ids.push(await sendEvent(bob, roomId, relating('m.reference', target)))
    const seen: string[] = []
    let from = ''
    do {
      const page = await relations(`?dir=${dir}&limit=3${from && `&from=${from}`}`)
      expect(page.chunk.length).toBeLessThanOrEqual(3)
      seen.push(...idsOf(page.chunk))
      from = page.next_batch
    } while (from)
    expect(seen).toEqual(dir === 'f' ? ids : ids.toReversed())
  })

  test('to a token of a sync, and from one', async () => {
    const early = await sendEvent(bob, roomId, relating('m.reference', target))
    const { next_batch } = await bob.get(`${v3}/sync`)
    const late = await sendEvent(bob, roomId, relating('m.reference', target))
    expect(idsOf((await relations(`?to=${next_batch}`)).chunk)).toEqual([late])
    expect(idsOf((await relations(`?from=${next_batch}`)).chunk)).toEqual([early])
  })

  test('of relations, when asked for', async () => {
    const inThread = await sendEvent(bob, roomId, relating('m.thread', target))
    const reaction = await react(alice, '👍', inThread)
    expect(idsOf((await relations()).chunk)).toEqual([inThread])
    const deep = await relations('?recurse=true')
    expect(idsOf(deep.chunk)).toEqual([reaction, inThread])
    expect(deep.recursion_depth).toBeGreaterThanOrEqual(2)
    expect(idsOf((await relations('/m.annotation?recurse=true')).chunk)).toEqual([reaction])
  })

  test('without redacted ones, and of a redacted event still', async () => {
    const gone = await sendEvent(bob, roomId, relating('m.reference', target))
    const stays = await sendEvent(bob, roomId, relating('m.reference', target))
    await redact(bob, gone)
    expect(idsOf((await relations()).chunk)).toEqual([stays])
    await redact(alice, target)
    expect(idsOf((await relations()).chunk)).toEqual([stays])
  })

  test('nothing of unknown events, and nothing for strangers', async () => {
    const stranger = await registerUser(url)
    const path = roomPath(roomId, eventPath('relations', target), v1)
    expect((await stranger.ask('GET', path)).status).toBeGreaterThanOrEqual(403)
    const unknown = roomPath(roomId, eventPath('relations', '$unknown'), v1)
    expect(await refusal(alice, 'GET', unknown)).toEqual([404, 'M_NOT_FOUND'])
    expect(await refusal(alice, 'GET', `${path}?from=nonsense`)).toEqual([400, 'M_INVALID_PARAM'])
    expect((await alice.ask('GET', `${path}?dir=sideways`)).status).toBe(400)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#annotating-events */
describe('reactions', () => {
  test('each once by each', async () => {
    await react(alice, '👍')
    await react(alice, '🎉')
    await react(bob, '👍')
    const content = { 'm.relates_to': { rel_type: 'm.annotation', event_id: target, key: '👍' } }
    const again = roomPath(roomId, 'send/m.reaction/again')
    expect(await refusal(alice, 'PUT', again, content)).toEqual([400, 'M_DUPLICATE_ANNOTATION'])
    expect((await relations('/m.annotation')).chunk).toHaveLength(3)
  })

  test('again once the first is gone', async () => {
    await redact(alice, await react(alice, '👍'))
    await react(alice, '👍')
    expect((await relations('/m.annotation')).chunk).toHaveLength(1)
  })

  test('are not bundled', async () => {
    await react(bob, '👍')
    const event = await alice.get(roomPath(roomId, eventPath('event', target)))
    expect(event.unsigned?.['m.relations']?.['m.annotation']).toBeUndefined()
  })
})

const SHORT = encodeURIComponent('{"room":{"timeline":{"limit":4}}}')

/** Returns an event as served by each endpoint with bundling. */
async function asServed(user: TestUser): Promise<Record<string, ClientEvent>> {
  const { chunk } = await user.get(roomPath(roomId, 'messages?dir=b&limit=50'))
  const context = await user.get(roomPath(roomId, eventPath('context', target)))
  const after = await user.get(roomPath(roomId, `${eventPath('context', context.events_before[0].event_id)}`))
  const { search_categories } = await user.post(`${v3}/search`, {
    search_categories: { room_events: { search_term: 'walrus', filter: { rooms: [roomId] } } },
  })
  const find = (events: ClientEvent[]) => events.find(({ event_id }) => event_id === target)!
  return {
    event: await user.get(roomPath(roomId, eventPath('event', target))),
    messages: find(chunk),
    context: context.event,
    'after in context': find(after.events_after),
    'sync with a gap': find((await syncedRoom(user, roomId, `filter=${SHORT}`)).timeline.events),
    search: find(search_categories.room_events.results.map(({ result }: ClientEvent) => result)),
  }
}

/** https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events */
describe('bundled wherever events are served', () => {
  test('the newest edit', async () => {
    await edit(alice, 'first')
    const newest = await edit(alice, 'second walrus')
    for (const [where, event] of Object.entries(await asServed(bob))) {
      const bundled = event.unsigned?.['m.relations']?.['m.replace']
      expect([where, bundled?.event_id]).toEqual([where, newest])
      expect(bundled).toMatchObject({ type: 'm.room.message', sender: alice.userId, room_id: roomId })
      expect(bundled.content['m.new_content'].body).toBe('second walrus')
      expect(event.content.body).toBe('a walrus')
    }
  })

  test('references', async () => {
    const reference = await sendEvent(bob, roomId, relating('m.reference', target))
    for (const [where, event] of Object.entries(await asServed(bob))) {
      expect([where, event.unsigned?.['m.relations']?.['m.reference']]).toEqual([
        where,
        { chunk: [{ event_id: reference }] },
      ])
    }
  })

  test('a thread with its newest event and its edit', async () => {
    await sendEvent(alice, roomId, relating('m.thread', target))
    const last = await sendEvent(alice, roomId, relating('m.thread', target))
    const fixed = await edit(alice, 'fixed', {}, last)
    for (const [where, event] of Object.entries(await asServed(bob))) {
      const { latest_event, ...rest } = event.unsigned['m.relations']['m.thread']
      expect([where, rest, latest_event.event_id]).toEqual([
        where,
        { count: 2, current_user_participated: false },
        last,
      ])
      expect([where, latest_event.unsigned?.['m.relations']?.['m.replace']?.event_id]).toEqual([where, fixed])
    }
    const own = (await asServed(alice)).event!
    expect(own.unsigned['m.relations']['m.thread'].current_user_participated).toBe(true)
  })

  test('nothing for a redacted event', async () => {
    await edit(alice, 'x')
    await redact(alice, target)
    // Another process may have the original event cached until it sees the redaction.
    const event = await pollUntil('the redaction shows', async () => {
      const now = await alice.get(roomPath(roomId, eventPath('event', target)))
      return now.unsigned.redacted_because ? now : undefined
    })
    expect(event.unsigned['m.relations']?.['m.replace']).toBeUndefined()
    expect(event.unsigned.redacted_because.redacts ?? event.unsigned.redacted_because.content.redacts).toBe(target)
  })

  test('no redacted events', async () => {
    const first = await edit(alice, 'first')
    await redact(alice, await edit(alice, 'second'))
    const event = await alice.get(roomPath(roomId, eventPath('event', target)))
    expect(event.unsigned['m.relations']['m.replace'].event_id).toBe(first)
    await redact(alice, first)
    const unedited = await alice.get(roomPath(roomId, eventPath('event', target)))
    expect(unedited.unsigned?.['m.relations']?.['m.replace']).toBeUndefined()
  })

  test('no events of ignored users', async () => {
    const carol = await registerUser(url)
    await joinRoom(roomId, carol)
    await sendEvent(bob, roomId, relating('m.reference', target))
    const seen = await sendEvent(carol, roomId, relating('m.reference', target))
    await sendEvent(carol, roomId, relating('m.thread', target))
    await sendEvent(bob, roomId, relating('m.thread', target))
    await ignore(alice, bob)
    const event = await alice.get(roomPath(roomId, eventPath('event', target)))
    expect(event.unsigned['m.relations']['m.reference']).toEqual({ chunk: [{ event_id: seen }] })
    expect(event.unsigned['m.relations']['m.thread']).toMatchObject({
      count: 1,
      latest_event: { sender: carol.userId },
    })
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events */
describe('edits count only', () => {
  const bundledEdit = async () => {
    const event = await alice.get(roomPath(roomId, eventPath('event', target)))
    return event.unsigned?.['m.relations']?.['m.replace']?.event_id
  }

  test('by the sender of the original', async () => {
    await edit(bob, 'not mine')
    expect(await bundledEdit()).toBeUndefined()
  })

  test('with new content', async () => {
    await edit(alice, 'x', { 'm.new_content': undefined })
    expect(await bundledEdit()).toBeUndefined()
  })

  test('of the same type', async () => {
    const content = { 'm.new_content': {}, 'm.relates_to': { rel_type: 'm.replace', event_id: target } }
    await sendEvent(alice, roomId, content, 'org.example.other')
    expect(await bundledEdit()).toBeUndefined()
  })

  test('of an event that is no edit', async () => {
    const first = await edit(alice, 'first')
    await edit(alice, 'second', {}, first)
    expect(await bundledEdit()).toBe(first)
    const event = await alice.get(roomPath(roomId, eventPath('event', first)))
    expect(event.unsigned?.['m.relations']?.['m.replace']).toBeUndefined()
  })

  test('of an event that is no state event', async () => {
    const topic = await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'x' } })
    const content = { 'm.new_content': { topic: 'y' }, 'm.relates_to': { rel_type: 'm.replace', event_id: topic } }
    await sendEvent(alice, roomId, content, 'm.room.topic')
    const event = await alice.get(roomPath(roomId, eventPath('event', topic)))
    expect(event.unsigned?.['m.relations']?.['m.replace']).toBeUndefined()
  })
})

test('a relation that names no event is sent as it is', async () => {
  const content = { msgtype: 'm.text', body: 'x', 'm.relates_to': { rel_type: 'm.reference' } }
  const id = await sendEvent(alice, roomId, content)
  expect((await alice.get(roomPath(roomId, eventPath('event', id)))).content).toEqual(content)
})

test('thousands of references are counted in pages', async () => {
  await sendTexts(bob, roomId, ['x'])
  for (let i = 0; i < 20; i++) await sendEvent(bob, roomId, relating('m.reference', target))
  const page = await relations('/m.reference?limit=5')
  expect(page.chunk).toHaveLength(5)
  expect(page.next_batch).toBeDefined()
})
