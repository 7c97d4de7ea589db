import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestFederation } from '../spec-tests/harness/federation.ts'
import type { Event } from '../testing/matrix/pdu.ts'
import { signJson } from '../testing/matrix/signing.ts'
import { type LargeRoom, makeServer, type RoomServer } from './large-room.ts'

/** Servers that publish their keys, serve one room, and accept every transaction. */
export type RoomServers = {
  servers: RoomServer[]
  serve(room: LargeRoom): void
  /** Returns the number of events sent to all of them so far. */
  received(): number
}

/** Also the keep-alive time: Synapse never asks a server for keys again whose connection closed during the request. */
const A_DAY = 24 * 3_600_000
const SEND = '/_matrix/federation/v1/send/'

type Said = { status: number; body: unknown }
const ok = (body: unknown): Said => ({ status: 200, body })

/** Starts `count` servers, all in this process, each on a port of its own; they stop with the federation. */
export async function startRoomServers(federation: TestFederation, count: number): Promise<RoomServers> {
  const { certificate, key } = federation.authority.issue('localhost')
  const tls = { cert: readFileSync(certificate), key: readFileSync(key) }
  let room: LargeRoom | undefined
  let received = 0
  const servers: RoomServer[] = []
  for (let i = 0; i < count; i++) {
    let self: RoomServer | undefined
    const server = createServer({ ...tls, keepAliveTimeout: A_DAY }, async (request, response) => {
      const body = await text(request)
      if (request.url!.startsWith(SEND)) received += JSON.parse(body).pdus.length
      const said = answer(self!, room, { path: request.url!, body })
      response.writeHead(said.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(said.body))
    })
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    federation.onDispose(() => end(server))
    self = makeServer(`localhost:${(server.address() as AddressInfo).port}`)
    servers.push(self)
  }
  return { servers, serve: (large) => (room = large), received: () => received }
}

function end(server: Server): void {
  server.close()
  server.closeAllConnections()
}

function answer(self: RoomServer, room: LargeRoom | undefined, { path, body }: { path: string; body: string }): Said {
  const [, kind] = /^\/_matrix\/(?:federation|key)\/v[12]\/([^/?]+)/.exec(path) ?? []
  if (kind === 'server') return ok(keysOf(self))
  if (kind === 'version') return ok({ server: { name: 'bench', version: '0' } })
  if (kind === 'send') return ok({ pdus: {} })
  if (kind === 'make_join' && room) return ok(joinTemplate(room, path))
  if (kind === 'send_join' && room) return ok(joinAnswer(self, room, JSON.parse(body)))
  return { status: 404, body: { errcode: 'M_UNRECOGNIZED', error: 'Nothing but one room is here' } }
}

function keysOf({ serverName, key }: RoomServer): object {
  const keys = {
    server_name: serverName,
    valid_until_ts: Date.now() + A_DAY,
    verify_keys: { [key.keyId]: { key: key.publicKey } },
    old_verify_keys: {},
  }
  return signJson(keys, serverName, key)
}

function joinTemplate(room: LargeRoom, path: string): object {
  const userId = decodeURIComponent(path.replace(/\?.*/, '').split('/').at(-1)!)
  return {
    room_version: room.version,
    event: {
      type: 'm.room.member',
      room_id: room.roomId,
      sender: userId,
      state_key: userId,
      content: { membership: 'join' },
      depth: room.last.pdu.depth + 1,
      prev_events: [room.last.event_id],
      auth_events: room.joinAuth,
      origin_server_ts: Date.now(),
    },
  }
}

function joinAnswer({ serverName }: RoomServer, room: LargeRoom, event: object): object {
  const pdus = (events: readonly Event[]) => events.map(({ pdu }) => pdu)
  return {
    origin: serverName,
    members_omitted: false,
    event,
    state: pdus(room.state),
    // The state events are each other's auth events, too.
    auth_chain: pdus([...room.replaced, ...room.state.filter(({ pdu }) => pdu.type !== 'm.room.member')]),
  }
}
