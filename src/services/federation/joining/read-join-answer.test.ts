import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { App } from '../../../app.ts'
import { defaultConfig } from '../../../config.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { readJoinAnswer } from './read-join-answer.ts'

const app = {
  config: defaultConfig({ limits: { counts: { servers_of_partial_room: 10 } } }),
  logger: pino({ level: 'silent' }),
  keyRing: {} as App['keyRing'],
}
const room = { version: ROOM_VERSIONS.get('10')!, roomId: '!r:x' as RoomId, server: 'x' as ServerName }

async function serversOf(servers_in_room: unknown[]): Promise<string[]> {
  const body = async function* () {
    yield Buffer.from(JSON.stringify({ members_omitted: true, servers_in_room }))
  }
  const answer = await readJoinAnswer(app, room, body())
  await answer.spool.close()
  return [...answer.servers]
}

test('of the servers that a resident names no more count than the limit, each once', async () => {
  const lies = Array.from({ length: 100_000 }, (_, place) => `s${place}.example`)
  expect(await serversOf(lies)).toEqual(lies.slice(0, 10))
  expect(await serversOf([...Array(50).fill('a.example'), 'b.example'])).toEqual(['a.example', 'b.example'])
  expect(await serversOf([7, null, {}, 'not a name', 'a.example'])).toEqual(['a.example'])
})
