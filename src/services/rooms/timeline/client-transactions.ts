import { LRUCache } from 'lru-cache'
import { MatrixError } from '../../../core/errors.ts'
import type { DeviceId, EventId, RoomId, UserId } from '../../../core/ids.ts'
import { type Db, violatesUnique } from '../../../storage/engine/database.ts'
import { findTransactionEvent, loadEventsById } from '../../../storage/rooms/timeline/events.ts'

/** A request that its client may retry: https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers */
export type ClientTransaction = {
  sender: UserId
  /** As `transactionDevice` returns it. */
  deviceId: DeviceId | null
  roomId: RoomId
  type: string
  txnId: string
  /** The event that the request's path names, if any. */
  redacts?: EventId
}

type StoredTransaction = { deviceId: DeviceId; id: string }
type Send = (txn: StoredTransaction | undefined) => Promise<EventId>

export type ClientTransactions = {
  /**
   * Sends the event of a client's transaction once, even if the request is retried at several processes, and returns
   * its ID each time.
   */
  sendOnce(transaction: ClientTransaction, send: Send): Promise<EventId>
}

/**
 * The number of recent transactions that a process caches; the database has older ones, and those of other processes.
 */
const REMEMBERED = 20_000

/** Needs no look-up beforehand: the index events_transaction rejects a retry that is not in the cache. */
export function createClientTransactions(database: Db): ClientTransactions {
  const recent = new LRUCache<string, Promise<EventId>>({ max: REMEMBERED })
  return {
    sendOnce(transaction, send) {
      const { sender, deviceId, roomId, type, txnId, redacts } = transaction
      const key = JSON.stringify([sender, deviceId, roomId, type, txnId, redacts])
      const known = recent.get(key)
      if (known) return known
      const sending = sendOrFind(database, transaction, send)
      recent.set(key, sending)
      sending.catch(() => recent.delete(key))
      return sending
    },
  }
}

async function sendOrFind(db: Db, transaction: ClientTransaction, send: Send): Promise<EventId> {
  const { txnId, ...scope } = transaction
  const deviceId = scope.deviceId ?? ('' as DeviceId)
  try {
    return await send({ deviceId, id: txnId })
  } catch (error) {
    if (!mayMeanRepetition(error)) throw error
    const eventId = await findTransactionEvent(db, { ...scope, deviceId, txnId })
    if (eventId === undefined) throw error
    // The ID of another redaction's transaction, under another path.
    return (await isOfTransaction(db, eventId, transaction)) ? eventId : send(undefined)
  }
}

/**
 * In addition to the index, later changes may reject a retry: the sender has left the room, or has sent the same
 * reaction.
 */
function mayMeanRepetition(error: unknown): boolean {
  if (error instanceof MatrixError) return error.status === 403 || error.errcode === 'M_DUPLICATE_ANNOTATION'
  return violatesUnique(error, 'events_transaction')
}

async function isOfTransaction(db: Db, eventId: EventId, { redacts }: ClientTransaction): Promise<boolean> {
  if (redacts === undefined) return true
  const [event] = await loadEventsById(db, [eventId])
  return event?.pdu.redacts === redacts || event?.pdu.content.redacts === redacts
}
