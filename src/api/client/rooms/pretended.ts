import { hash } from 'node:crypto'
import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { signText } from '../../../core/signing/sign-json.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import type { Session } from '../../http/route.ts'

/** The length of the hash in an event ID. */
const HASH_BYTES = 32
const DELAY_ID_LENGTH = 32

type Random = Pick<App, 'random' | 'signingKeys'>
/** `params.txnId`: the transaction ID, if the request has one. */
type PretendedCall = { params: object & { txnId?: string; roomId?: RoomId }; session: Session }

/**
 * Returns the response to a shadow-banned user for an event that is not sent, or not scheduled (`delay`). A repeated
 * transaction gets the same response: clients would show another event beside the first one.
 */
export function pretendedEvent(
  app: Random,
  call: PretendedCall,
  { 'org.matrix.msc4140.delay': delay }: { 'org.matrix.msc4140.delay'?: number | undefined } = {},
): object {
  const id = pretendedId(app, call)
  return delay === undefined ? { event_id: `$${id}` } : { delay_id: id.slice(0, DELAY_ID_LENGTH) }
}

function pretendedId({ random, signingKeys }: Random, { params, session }: PretendedCall): string {
  if (params.txnId === undefined) return random.bytes(HASH_BYTES).toString('base64url')
  // Signed, so that users cannot compute it and find out that they are shadow-banned.
  const transaction = JSON.stringify(['pretended', session.userId, transactionDevice(session), params])
  return hash('sha256', signText(transaction, signingKeys.current.privateKey), 'base64url')
}

/** Changes of the user's own membership that reach the room. A join by this way may be a change of the name. */
const SENT: readonly unknown[] = ['leave', 'knock']

/** As `pretendedEvent`, for state; undefined: it is sent. */
export function pretendedState(
  app: Random,
  {
    params: { eventType: type, stateKey },
    session,
  }: PretendedCall & { params: { eventType: string; stateKey: string } },
  { membership, delay }: { membership: unknown; delay: number | undefined },
): object | undefined {
  const isSent = type === 'm.room.member' && stateKey === session.userId && SENT.includes(membership)
  if (isSent && delay === undefined) return undefined
  return pretendedEvent(app, { params: {}, session }, { 'org.matrix.msc4140.delay': delay })
}
