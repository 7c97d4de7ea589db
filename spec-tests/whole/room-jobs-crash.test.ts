import { afterEach, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { bodiesOf, createRoom, historyOf, joinRoom, refusal, roomPath, sendState, v3 } from '../harness/rooms.ts'

/** Long work of administrators is completed, even if the process dies in the middle. */
const v1 = '/_synapse/admin/v1'
const hearthV1 = '/_hearth/admin/v1'
const MESSAGES = 60
const INVITES = 20

let hearth: TestHearth | undefined
afterEach(() => hearth?.dispose())

type Task = { action: string; status: string; result: unknown }
const tasksOf = async (admin: TestUser): Promise<Task[]> => (await admin.get(`${v1}/scheduled_tasks`)).scheduled_tasks

/** Creates a room of Alice with Bob, and many messages of Alice. */
async function busyRoom(alice: TestUser, bob: TestUser): Promise<string> {
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  await Promise.all(Array.from({ length: MESSAGES }, (_, place) => sendText(alice, roomId, `word ${place}`)))
  return roomId
}

async function upload({ url, accessToken }: TestUser): Promise<string> {
  const headers = { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'text/plain' }
  const answer = await fetch(`${url}/_matrix/media/v3/upload`, { method: 'POST', headers, body: String(Math.random()) })
  return ((await answer.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

test('deletion, purge, retention, redaction, counts, checks and rejections are completed after a kill and a start', async () => {
  hearth = await startHearth({ config: { retention: { enabled: true, min_lifetime: '0s', interval: '1s' } } })
  const { url } = hearth
  const [admin, alice, bob] = await Promise.all([registerAdmin(url), registerUser(url), registerUser(url)])
  const carol = await registerUser(url)
  await Promise.all(Array.from({ length: INVITES }, () => alice.post(`${v3}/createRoom`, { invite: [carol.userId] })))
  const [deleted, purged, redacted] = [
    await busyRoom(alice, bob),
    await busyRoom(alice, bob),
    await busyRoom(alice, bob),
  ]
  const expiring = await createRoom(alice)
  await sendText(alice, expiring, 'old')
  await sendState(alice, expiring, { type: 'm.room.retention', content: { max_lifetime: 1 } })
  const files = await Promise.all(Array.from({ length: 15 }, () => upload(alice)))
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  const last = await sendText(alice, purged, 'last')

  const purge = { purge_up_to_event_id: last, delete_local_events: true }
  const deletionOfFiles = `${v1}/media/delete?before_ts=${Date.now() + 60_000}`
  const begun = Promise.allSettled([
    admin.post(`${v1}/user/${encodeURIComponent(alice.userId)}/redact`, { rooms: [redacted] }),
    admin.post(`${v1}/purge_history/${encodeURIComponent(purged)}`, purge),
    admin.ask('DELETE', `/_synapse/admin/v2/rooms/${encodeURIComponent(deleted)}`, {}),
    admin.post(deletionOfFiles),
    admin.post(`${hearthV1}/users/${encodeURIComponent(carol.userId)}/reject_invites`),
    admin.post(`${hearthV1}/rooms/${encodeURIComponent(redacted)}/check_state`, { repair: true }),
    admin.post(`${v1}/background_updates/start_job`, { job_name: 'populate_stats_process_rooms' }),
  ])
  const actions = [
    ...['clean_rooms', 'media_work', 'purge_history', 'redact_user', 'shutdown_and_purge_room'],
    ...['reject_invites', 'check_room_state', 'populate_stats_process_rooms'],
  ]
  await pollUntil('all have begun', async () => {
    const tasks = await tasksOf(admin)
    return actions.every((wanted) => tasks.some(({ action }) => action === wanted))
  })
  await hearth.kill('SIGKILL')
  await begun
  await hearth.restart()

  await pollUntil(
    'all is done',
    async () => {
      const tasks = await tasksOf(admin)
      const isDone = (action: string) => tasks.some((task) => task.action === action && task.status === 'complete')
      const isUnderWay = tasks.some(({ action, status }) => action !== 'clean_rooms' && status !== 'complete')
      return actions.every(isDone) && !isUnderWay
    },
    120_000,
  )
  expect((await refusal(bob, 'GET', roomPath(deleted, 'messages?dir=b')))[0]).toBe(403)
  expect((await bob.get(`${v3}/sync?since=${since}`)).rooms.leave).toHaveProperty([deleted])
  expect(bodiesOf(await historyOf(bob, purged))).toEqual(['last'])
  expect(bodiesOf(await historyOf(bob, redacted))).toEqual([])
  expect(bodiesOf(await historyOf(alice, expiring))).toEqual([])
  expect((await carol.get(`${v3}/sync`)).rooms?.invite ?? {}).toEqual({})
  const tasks = await tasksOf(admin)
  const resultOf = (wanted: string) => tasks.find(({ action }) => action === wanted)?.result
  expect(resultOf('check_room_state')).toMatchObject({ is_right: true, is_repaired: false })
  expect(resultOf('reject_invites')).toMatchObject({ total: INVITES, rejected: INVITES, left: 0 })
  expect(resultOf('populate_stats_process_rooms')).toMatchObject({ recounted: expect.any(Number) })
  for (const file of files.slice(0, 5)) {
    const path = `/_matrix/client/v1/media/download/${file}`
    expect((await ask(url, { method: 'GET', path, token: alice.accessToken })).status).toBe(404)
  }
})
