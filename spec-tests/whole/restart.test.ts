import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { asUser, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { type ClientEvent, roomOfTwo, roomPath, syncUntil, v3 } from '../harness/rooms.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

/** Syncs until these users are typing, and returns the token after that. */
function hearsTyping(
  user: TestUser,
  since: string,
  { roomId, users }: { roomId: string; users: string[] },
): Promise<string> {
  return syncUntil(user, since, ({ rooms, next_batch }) => {
    const events: ClientEvent[] = rooms?.join?.[roomId]?.ephemeral?.events ?? []
    const last = events.findLast(({ type }) => type === 'm.typing')
    return JSON.stringify(last?.content.user_ids) === JSON.stringify(users) && next_batch
  })
}

test('typing through a process that is killed ends in the others', async () => {
  const databaseUrl = await postgres.createDatabase()
  const first = await startHearth({ databaseUrl })
  const second = await startHearth({ databaseUrl, serverName: first.serverName })
  try {
    const { alice, bob, roomId } = await roomOfTwo(first.url)
    const elsewhere = asUser(second.url, {
      user_id: bob.userId,
      device_id: bob.deviceId,
      access_token: bob.accessToken,
    })
    const { next_batch } = await elsewhere.get(`${v3}/sync`)
    await alice.put(roomPath(roomId, `typing/${encodeURIComponent(alice.userId)}`), { typing: true, timeout: 3000 })
    const since = await hearsTyping(elsewhere, next_batch, { roomId, users: [alice.userId] })
    await first.kill('SIGKILL')
    await hearsTyping(elsewhere, since, { roomId, users: [] })
  } finally {
    await Promise.all([first.dispose(), second.dispose()])
  }
})

describe.each(['pglite', 'postgresql'])('on %s', (database) => {
  let hearth: TestHearth
  beforeAll(async () => {
    hearth = await startHearth(database === 'postgresql' ? { databaseUrl: await postgres.createDatabase() } : {})
  })
  afterAll(() => hearth.dispose())

  test('after a stop and a start all is still there, and the same access tokens work', async () => {
    const [alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
    const { room_id: roomId } = await alice.post('/_matrix/client/v3/createRoom', {
      preset: 'private_chat',
      name: 'Tea',
      invite: [bob.userId],
    })
    await bob.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
    const first = await sendText(alice, roomId, 'before', 'txn-1')
    const { next_batch: since } = await bob.get('/_matrix/client/v3/sync?timeout=0')
    const uploaded = await fetch(`${hearth.url}/_matrix/media/v3/upload?filename=a.txt`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${alice.accessToken}`, 'Content-Type': 'text/plain' },
      body: 'some text',
    })
    const { content_uri: uri } = (await uploaded.json()) as { content_uri: string }
    const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
    const eventIds = async () =>
      (await bob.get(`${room}/state`)).map((event: { event_id: string }) => event.event_id).sort()
    const state = await eventIds()

    await hearth.kill('SIGTERM')
    await hearth.restart()

    expect((await alice.get('/_matrix/client/v3/account/whoami')).user_id).toBe(alice.userId)
    expect(await eventIds()).toEqual(state)
    expect(await sendText(alice, roomId, 'before', 'txn-1')).toBe(first)
    const { chunk } = await bob.get(`${room}/messages?dir=b&limit=5`)
    expect(chunk[0].event_id).toBe(first)
    const second = await sendText(alice, roomId, 'after')
    const sync = await bob.get(`/_matrix/client/v3/sync?timeout=0&since=${since}`)
    expect(sync.rooms.join[roomId].timeline.events.map((event: { event_id: string }) => event.event_id)).toEqual([
      second,
    ])
    const media = await fetch(`${hearth.url}/_matrix/client/v1/media/download/${uri.slice('mxc://'.length)}`, {
      headers: { Authorization: `Bearer ${bob.accessToken}` },
    })
    expect(await media.text()).toBe('some text')
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('typing from before a %s ends', async (signal) => {
    const { alice, bob, roomId } = await roomOfTwo(hearth.url)
    const { next_batch } = await bob.get(`${v3}/sync`)
    await alice.put(roomPath(roomId, `typing/${encodeURIComponent(alice.userId)}`), { typing: true, timeout: 3000 })
    const since = await hearsTyping(bob, next_batch, { roomId, users: [alice.userId] })
    // A durable commit also flushes the commits before it.
    await sendText(alice, roomId, 'about to end')
    await hearth.kill(signal)
    await hearth.restart()
    await hearsTyping(bob, since, { roomId, users: [] })
  })

  test('delayed events survive a crash: one that came due in the meantime is sent once, another can still be managed', async () => {
    const alice = await registerUser(hearth.url)
    const { room_id: roomId } = await alice.post('/_matrix/client/v3/createRoom')
    const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
    const delay = (name: string, milliseconds: number) =>
      alice.put(`${room}/send/m.room.message/${name}?org.matrix.msc4140.delay=${milliseconds}`, { body: name })
    await delay('soon', 300)
    const { delay_id: later } = await delay('later', 3_600_000)
    await hearth.kill('SIGKILL')
    await hearth.restart()
    const path = `/_matrix/client/unstable/org.matrix.msc4140/delayed_events/${later}`
    expect(await alice.get(path)).toMatchObject({ room_id: roomId, delay_ms: 3_600_000 })
    await alice.post(`${path}/send`)
    const bodies = async (): Promise<string[]> => {
      const { chunk } = await alice.get(`${room}/messages?dir=b&limit=20`)
      return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
    }
    await pollUntil('both are sent', async () => (await bodies()).length >= 2)
    expect((await bodies()).sort()).toEqual(['later', 'soon'])
  })

  test('a sync that waits is answered when the server stops', async () => {
    const alice = await registerUser(hearth.url)
    const { next_batch: since } = await alice.get('/_matrix/client/v3/sync?timeout=0')
    const waiting = alice.ask('GET', `/_matrix/client/v3/sync?timeout=60000&since=${since}`)
    await pollUntil('the sync waits', async () => {
      const metrics = await (await fetch(`${hearth.url}/metrics`)).text()
      return /^hearth_sync_waiters 1$/m.test(metrics)
    })
    await hearth.kill('SIGTERM')
    expect((await waiting).status).toBe(200)
    await hearth.restart()
  })
})
