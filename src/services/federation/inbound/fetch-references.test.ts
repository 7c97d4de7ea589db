import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { createRemoteRoom } from '../../../testing/remote-room.ts'
import { type AppWithRemote, createAppWithRemote, REMOTE } from '../../../testing/remote-server.ts'
import { fetchStateAfter, fromAny } from './fetch-references.ts'

const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'] as ServerName[] as [ServerName, ServerName, ServerName]
const source = {
  server: FIRST,
  others: [SECOND, THIRD],
  roomId: '!room' as RoomId,
  version: ROOM_VERSIONS.get('12')!,
  signal: new AbortController().signal,
}

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

/** Asks servers that answer as `answers` defines. */
async function ask(answers: Record<string, Error | string>) {
  const asked: string[] = []
  const answer = await fromAny(source, async ({ server }) => {
    asked.push(server)
    const said = answers[server]!
    if (said instanceof Error) throw said
    return said
  })
  return { asked, answer }
}

test('other servers are asked when one cannot be reached or does not know, and no more than are needed', async () => {
  const [down, unknown] = [new FederationError('down'), new FederationError('unknown', { status: 404 })]
  expect(await ask({ first: 'one', second: 'two' })).toEqual({ asked: [FIRST], answer: 'one' })
  expect(await ask({ first: down, second: unknown, third: 'three' })).toEqual({
    asked: [FIRST, SECOND, THIRD],
    answer: 'three',
  })
  await expect(ask({ first: unknown, second: down, third: unknown })).rejects.toBe(down)
  await expect(
    ask({ first: unknown, second: new FederationError('other', { status: 403 }), third: unknown }),
  ).rejects.toBe(unknown)
  const fault = new TypeError('of ours')
  await expect(ask({ first: fault, second: 'two' })).rejects.toBe(fault)
})

test('a server that tells no state has not answered, and the next one is asked', async () => {
  const room = createRemoteRoom(app)
  const before = room.events.at(-1)!
  await room.joinPartially()
  const about = { ...source, roomId: room.roomId, version: room.version }
  for (const empty of [{}, { pdu_ids: [], auth_chain_ids: [] }, { pdu_ids: 'none' }]) {
    app.answerWith((request) => {
      const isAskedForState = request.path.includes('/state_ids/')
      return request.destination === FIRST && isAskedForState ? empty : room.answer(request)
    })
    const told = await fetchStateAfter(app, { ...about, others: [REMOTE] }, before.event_id)
    expect(new Set(told.nids).size).toBe(4)
    await expect(fetchStateAfter(app, { ...about, others: [] }, before.event_id)).rejects.toThrow('tells no state')
  }
})
