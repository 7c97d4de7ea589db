import { afterAll, beforeAll, expect, test } from 'vitest'
import type { JsonObject } from '../../core/pdu.ts'
import { countEvents, loadSearchProgress } from '../../storage/search/search-index.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE, type ReadingRoom } from '../../testing/reading-room.ts'
import { catchUpIndex, indexNextRows } from './index-stream.ts'

let app: TestApp
let room: ReadingRoom
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
  room = await createReadingRoom(app)
})
afterAll(() => app.close())

const count = (word: string) =>
  countEvents(app.database, { tokens: [word], roomIds: [room.roomId], keys: ['content.body'], order: 'recent' }, 100)
const send = (body: string, content: JsonObject = {}, type = 'm.room.message') =>
  room.message(ALICE, body, content, { type })

test('many who index at once put each event in once, and none is left out', async () => {
  for (let i = 0; i < 20; i++) await send('gingko')
  await Promise.all(Array.from({ length: 5 }, () => indexNextRows(app, { wait: true })))
  expect(await count('gingko')).toBe(20)
  const before = await loadSearchProgress(app.database)
  expect(await indexNextRows(app, { wait: false })).toBe(false)
  expect(await loadSearchProgress(app.database)).toBe(before)
})

test('catching up brings in all that was committed before', async () => {
  await send('sequoia')
  await catchUpIndex(app)
  expect(await count('sequoia')).toBe(1)
})

test('a redacted message goes, whether it was indexed before or not', async () => {
  const indexed = await send('baobab')
  await indexNextRows(app, { wait: true })
  expect(await count('baobab')).toBe(1)
  const notYet = await send('baobab')
  for (const { event_id } of [indexed, notYet]) await room.redact(ALICE, event_id)
  await indexNextRows(app, { wait: true })
  expect(await count('baobab')).toBe(0)
})

test('encrypted events and events without text are not indexed', async () => {
  await send('mangrove', {}, 'm.room.encrypted')
  await send('', { body: 7 })
  await send('\0 …')
  await indexNextRows(app, { wait: true })
  expect(await count('mangrove')).toBe(0)
})
