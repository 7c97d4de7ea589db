import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { domainOf, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Event, JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { acceptReceived, type ReceivedState, receivedStateOf } from '../inbound/accept-received.ts'
import { receiveEvent } from '../inbound/receive-event.ts'
import { askInTurn } from '../requests/ask-in-turn.ts'
import { type PreparedMember, prepareMember } from '../requests/member-handshake.ts'
import { requireResident } from '../requests/member-template.ts'
import { verifyEvents } from '../trust/verify-events.ts'
import type { JoinRace } from './join-race.ts'
import { whileJoining } from './joins-under-way.ts'
import { type JoinAnswer, readJoinAnswer } from './read-join-answer.ts'
import { storeJoinedRoom } from './store-joined-room.ts'

/** A remote join. */
export type RemoteJoin = {
  roomId: RoomId
  userId: UserId
  /** Content of the member event, with `membership`. */
  content: JsonObject
  /** Servers that may be in the room, the best first. */
  servers: readonly ServerName[]
}

/** Large rooms take long at the other server, too. */
const SEND_TIMEOUT_MS = 600_000

/**
 * Joins a room through the first server that can help, and stores the room as received. If the response omits members,
 * the room is usable immediately and resync-room.ts fetches them. Throws RoomArrived if another join of `race`
 * succeeded first, the servers' refusal, 404 M_NOT_FOUND without any server, and 502 if none can be reached or gives a
 * valid response.
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 */
export async function joinRemotely(app: App, join: RemoteJoin, race: JoinRace): Promise<void> {
  const { roomId } = join
  const { signal } = race
  await askInTurn(await race.order(join.servers), (server) =>
    race.through(server, async () => {
      const prepared = await prepareMember(app, server, { ...join, membership: 'join', signal })
      // Not earlier: a server that refuses needs no key requests.
      const keys = learnKeys(app, roomId, server)
      const { version } = prepared
      await whileJoining(app, { roomId, version }, () => joinThrough(app, server, { ...prepared, keys, signal }))
    }),
  )
}

/**
 * Fetches keys while the resident server answers: most of the state is signed by the server that created the room, and
 * by the resident server.
 */
function learnKeys(app: App, roomId: RoomId, server: ServerName): Promise<void> {
  return app.keyRing.learn([...new Set([server, domainOf(roomId) ?? server])]).catch((error: unknown) => {
    app.logger.warn({ err: error, server }, 'request for signing keys failed')
  })
}

async function joinThrough(app: App, server: ServerName, { version, event, ...asking }: SentJoin): Promise<void> {
  const answer = await sendJoin(app, server, { version, event, ...asking })
  try {
    await takeOver(app, { version, server, event, answer })
  } finally {
    await answer.spool.close()
  }
}

type SentJoin = PreparedMember & {
  /** Resolves once the keys for the response have been fetched. */
  keys?: Promise<void>
  signal?: AbortSignal | undefined
}

async function sendJoin(app: App, server: ServerName, { version, event, keys, signal }: SentJoin): Promise<JoinAnswer> {
  const { room_id: roomId, event_id: eventId } = event
  const { body } = await app.federation.stream({
    destination: server,
    method: 'PUT',
    path: `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`,
    query: { omit_members: true },
    body: event.pdu,
    timeoutMs: SEND_TIMEOUT_MS,
    ...(signal && { signal }),
  })
  await keys
  return readJoinAnswer(app, { version, roomId, server }, body)
}

type Joined = { version: RoomVersion; server: ServerName; event: Event; answer: JoinAnswer }

async function takeOver(app: App, { version, server, event, answer }: Joined): Promise<void> {
  const signed = await signedByResident(app, { version, server, event, answer })
  const state = new Map<string, ReceivedState>()
  await acceptReceived(app, { version, roomId: event.room_id }, answer, (piece) => {
    state.set(`${piece.type}\0${piece.state_key}`, piece)
  })
  if (answer.membersOmitted) await addCitedMembers(app, signed, { answer, state })
  const partial = answer.membersOmitted ? { via: server, servers: othersIn(app, server, answer) } : undefined
  const outcome = await storeJoinedRoom(app, { version, event: signed, state: [...state.values()], partial }).catch(
    (error: unknown) => {
      if (!(error instanceof ForbiddenError)) throw error
      // That server accepted the join: the fault is not the user's, and another server may succeed.
      throw new FederationError(`${server} answers a state that does not allow the join: ${error.message}`)
    },
  )
  if (outcome === 'stored') return
  // A concurrent join has brought this server into the room: the event is an ordinary one now.
  await receiveOwnJoin(app, server, signed)
}

/** Adds members whom the join references and the response omits, such as the user's own ban. */
async function addCitedMembers(
  app: App,
  { auth_event_ids }: Event,
  { answer, state }: { answer: JoinAnswer; state: Map<string, ReceivedState> },
): Promise<void> {
  const others = auth_event_ids.filter((id) => !answer.state.has(id))
  for (const event of await loadEventsById(app.database, others)) {
    const key = `${event.pdu.type}\0${event.pdu.state_key}`
    if (event.pdu.type === 'm.room.member' && !event.rejected && !state.has(key))
      state.set(key, receivedStateOf(event.pdu, event.event_nid))
  }
}

function othersIn({ serverName }: App, via: ServerName, { servers }: JoinAnswer): ServerName[] {
  return [...new Set([via, ...servers])].filter((server) => server !== serverName)
}

/** Returns the event as the resident server signed it, with the authorising server's signature if needed. */
async function signedByResident(app: App, { version, server, event, answer }: Joined): Promise<Event> {
  if (answer.join === undefined) {
    if (event.pdu.content.join_authorised_via_users_server === undefined) return event
    throw new FederationError(`${server} does not return the event that it has authorised`)
  }
  const [verified] = await verifyEvents(app, version, [answer.join])
  if (verified?.ok && verified.event.event_id === event.event_id) return verified.event
  throw new FederationError(`${server} returns another event than that of the join`)
}

/**
 * Joins a room that this server is in but cannot authorise joins to, through a server that can.
 * https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
 */
export async function joinThroughOthers(app: App, join: RemoteJoin): Promise<void> {
  await requireResident(app, join.roomId)
  await askInTurn(join.servers, async (server) => {
    const { version, event } = await prepareMember(app, server, { ...join, membership: 'join' })
    // The state in the response is known here already.
    const answer = await sendJoin(app, server, { version, event })
    await answer.spool.close()
    await receiveOwnJoin(app, server, await signedByResident(app, { version, server, event, answer }))
  })
}

async function receiveOwnJoin(app: App, server: ServerName, event: Event): Promise<void> {
  const { outcome, reason } = await receiveEvent(app, { origin: server, roomId: event.room_id, pdu: event.pdu })
  if (outcome === 'accepted' || outcome === 'known') return
  throw new ForbiddenError(`The room does not allow the join: ${reason}`)
}
