import { beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4306 and 4308 */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let room: string
beforeAll(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  roomId = (await bob.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })).room_id
  room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
  await alice.post(`${room}/join`)
})

const subscription = (threadId: string) =>
  `/_matrix/client/unstable/io.element.msc4306/rooms/${encodeURIComponent(roomId)}/thread/${encodeURIComponent(threadId)}/subscription`
const reply = async (threadId: string, body: string): Promise<string> => {
  const content = { msgtype: 'm.text', body, 'm.relates_to': { rel_type: 'm.thread', event_id: threadId } }
  return (await bob.put(`${room}/send/m.room.message/${uniqueName()}`, content)).event_id
}
const rule = (ruleId: string) => `/_matrix/client/v3/pushrules/global/postcontent/.io.element.msc4306.rule.${ruleId}`

test("a user's decision is not overridden by an automatic subscription", async () => {
  const root = await sendText(bob, roomId, 'root')
  const first = await reply(root, 'first')
  const path = subscription(root)
  expect((await alice.ask('GET', path)).body.errcode).toBe('M_NOT_FOUND')
  expect((await alice.ask('PUT', path, { automatic: root })).body.errcode).toBe('IO.ELEMENT.MSC4306.M_NOT_IN_THREAD')
  await alice.put(path, { automatic: first })
  expect(await alice.get(path)).toEqual({ automatic: true })
  await alice.put(path, {})
  await alice.put(path, { automatic: first })
  expect(await alice.get(path)).toEqual({ automatic: false })
  expect((await alice.ask('DELETE', path)).status).toBe(200)
  expect((await alice.ask('DELETE', path)).status).toBe(200)
  expect(await alice.ask('PUT', path, { automatic: first })).toMatchObject({
    status: 409,
    body: { errcode: 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION' },
  })
  await alice.put(path, { automatic: await reply(root, 'second') })
  expect(await alice.get(path)).toEqual({ automatic: true })
})

test('threads that one may not see are not there', async () => {
  const { room_id: hidden } = await bob.post('/_matrix/client/v3/createRoom', { preset: 'private_chat' })
  const root = await sendText(bob, hidden, 'secret')
  const path = subscription(root).replace(encodeURIComponent(roomId), encodeURIComponent(hidden))
  for (const [method, body] of [['GET'], ['PUT', {}], ['DELETE']] as const)
    expect(await alice.ask(method, path, body)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
})

test('all changes are listed page by page, the latest first and each thread once', async () => {
  const carol = await registerUser(url)
  await carol.post(`${room}/join`)
  const roots: string[] = []
  for (let number = 0; number < 5; number++) roots.push(await sendText(bob, roomId, `root ${number}`))
  for (const root of roots) await carol.put(subscription(root), {})
  await carol.ask('DELETE', subscription(roots[0]!))
  const list = '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?dir=b&limit=2'
  const seen: string[] = []
  let from: string | undefined = ''
  while (from !== undefined) {
    const page: { subscribed?: object; unsubscribed?: object; end?: string } = await carol.get(
      from === '' ? list : `${list}&from=${from}`,
    )
    const threads = [page.subscribed, page.unsubscribed].flatMap((part) => Object.values(part ?? {}))
    const stamps = threads.flatMap((thread: Record<string, { bump_stamp: number }>) => Object.entries(thread))
    seen.push(...stamps.sort(([, a], [, b]) => b.bump_stamp - a.bump_stamp).map(([root]) => root))
    from = page.end
  }
  expect(seen).toEqual([roots[0], roots[4], roots[3], roots[2], roots[1]])
  expect((await carol.ask('GET', `${list}&from=nonsense`)).body.errcode).toBe('M_INVALID_PARAM')
  expect((await carol.ask('GET', list.replace('dir=b', 'dir=f'))).body.errcode).toBe('M_INVALID_PARAM')
})

test('sliding sync tells all subscriptions first, then changes at once', async () => {
  const root = await sendText(bob, roomId, 'root')
  const erin = await registerUser(url)
  await erin.post(`${room}/join`)
  await erin.put(subscription(root), {})
  const sync = async (pos?: string) => {
    const query = pos === undefined ? '' : `?pos=${pos}&timeout=20000`
    const extensions = { 'io.element.msc4308.thread_subscriptions': { enabled: true } }
    const body = await erin.post(`/_matrix/client/unstable/org.matrix.simplified_msc3575/sync${query}`, { extensions })
    return { pos: body.pos, threads: body.extensions['io.element.msc4308.thread_subscriptions'] }
  }
  const first = await sync()
  expect(first.threads.subscribed[roomId][root]).toMatchObject({ automatic: false, bump_stamp: expect.any(Number) })
  const waiting = sync(first.pos)
  await erin.ask('DELETE', subscription(root))
  const { threads } = await waiting
  expect(Object.keys(threads.unsubscribed[roomId])).toEqual([root])
  expect(threads).not.toHaveProperty('subscribed')
})

test('a thread with a subscription notifies in a muted room; one without is silent once the user wants that', async () => {
  const [followed, other] = [await sendText(bob, roomId, 'followed'), await sendText(bob, roomId, 'other')]
  const dave = await registerUser(url)
  await dave.post(`${room}/join`)
  await dave.put(`/_matrix/client/v3/pushrules/global/room/${encodeURIComponent(roomId)}`, { actions: [] })
  await dave.put(subscription(followed), {})
  const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } }))
  const counts = async () => {
    const { rooms } = await dave.get(`/_matrix/client/v3/sync?timeout=0&filter=${filter}`)
    return rooms.join[roomId].unread_thread_notifications ?? {}
  }
  await reply(followed, 'for those who follow')
  await reply(other, 'for nobody')
  await sendText(bob, roomId, 'for nobody either')
  await pollUntil('the followed thread counts', async () => (await counts())[followed]?.notification_count === 1)
  expect(Object.keys(await counts())).toEqual([followed])

  await dave.ask('DELETE', `/_matrix/client/v3/pushrules/global/room/${encodeURIComponent(roomId)}`)
  await reply(other, 'counts without the rule')
  await pollUntil('the other thread counts', async () => (await counts())[other]?.notification_count === 1)
  await dave.put(`${rule('unsubscribed_thread')}/enabled`, { enabled: true })
  await reply(other, 'counts no more')
  await reply(followed, 'counts still')
  await pollUntil('the followed thread counts', async () => (await counts())[followed]?.notification_count === 2)
  expect((await counts())[other]?.notification_count ?? 0).toBeLessThan(2)
  expect(await dave.get(rule('subscribed_thread'))).toMatchObject({ default: true, enabled: true })
  expect((await dave.ask('PUT', rule('mine').replace('.io', 'io'), { actions: [] })).status).toBe(400)
})
