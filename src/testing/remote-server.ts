import { Readable } from 'node:stream'
import { buildEvent } from '../core/events/build-event.ts'
import type { EventId, RoomId, ServerName, UserId } from '../core/ids.ts'
import type { Event } from '../core/pdu.ts'
import { ROOM_VERSIONS } from '../core/room-versions.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import type { FederationClient } from '../infra/federation/federation-client.ts'
import { FederationError } from '../infra/federation/federation-error.ts'
import { receiveEvent } from '../services/federation/inbound/receive-event.ts'
import { draftEvent } from '../services/rooms/timeline/draft-event.ts'
import type { NewEvent } from '../services/rooms/timeline/new-event.ts'
import { storeServerKeys } from '../storage/federation/server-keys.ts'
import { headOf } from '../storage/rooms/timeline/locked-room.ts'
import { createTestApp, type TestOverrides } from './create-test-app.ts'
import { createReadingRoom, PEOPLE } from './reading-room.ts'

export const REMOTE = 'remote' as ServerName
export const BORIS = '@boris:remote' as UserId
const signer = { ...signingKeyFromSeed('r', Buffer.alloc(32, 7)), serverName: REMOTE }

type Request = Parameters<FederationClient['request']>[0]

/** Creates an app, and a server `remote` that answers as the test defines. */
export async function createAppWithRemote(config: TestOverrides['config'] = {}) {
  const asked: Request[] = []
  let respond = (_request: Request): unknown => undefined
  const federation: FederationClient = {
    async request(request) {
      asked.push(request)
      const answer = await respond(request)
      if (answer === undefined) throw new FederationError('not found', { status: 404, retryable: false })
      return answer
    },
    async stream(request) {
      const text = JSON.stringify(await this.request(request))
      return { headers: {}, body: Readable.from([Buffer.from(text)]) }
    },
    download: () => Promise.reject(new FederationError('unreachable')),
  }
  const app = await createTestApp({ users: PEOPLE, federation, config })
  await app.database.write((tx) =>
    storeServerKeys(tx, [
      {
        server_name: REMOTE,
        key_id: signer.keyId,
        public_key: signer.publicKey,
        valid_until_ts: 9_000_000_000_000,
        retired: false,
        fetched_ts: 0,
        response: '{}',
      },
    ]),
  )
  return {
    ...app,
    asked,
    answerWith(answer: typeof respond) {
      respond = answer
    },
  }
}

export type AppWithRemote = Awaited<ReturnType<typeof createAppWithRemote>>

/** Creates a room of Alice that Boris of the remote server has joined. */
export async function createSharedRoom(app: AppWithRemote) {
  const room = await createReadingRoom(app)
  const { roomId } = room

  /** Creates an event of the remote server, by default after the room's newest event. */
  const make = (
    fields: Partial<NewEvent> & { prev_events?: EventId[]; auth_events?: EventId[] } = {},
  ): Promise<Event> =>
    app.rooms.run(roomId, async (locked) => {
      const { prev_events, auth_events, ...event } = fields
      const { draft } = await draftEvent(app, locked, {
        type: 'm.room.message',
        sender: BORIS,
        content: { body: 'hello' },
        ...event,
      })
      const overrides = { ...(prev_events && { prev_events }), ...(auth_events && { auth_events }) }
      return buildEvent(headOf(locked).version, { ...draft, ...overrides }, signer)
    })
  const receive = (event: Event) => receiveEvent(app, { origin: REMOTE, roomId, pdu: event.pdu })
  await receive(await make({ type: 'm.room.member', state_key: BORIS, content: { membership: 'join' } }))
  return { ...room, roomId: roomId as RoomId, version: ROOM_VERSIONS.get('12')!, make, receive }
}
