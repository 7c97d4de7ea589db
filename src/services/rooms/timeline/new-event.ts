import type { DeviceId, EventId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'

/** An event that one of our users sends. */
export type NewEvent = {
  type: string
  /** Present: a state event. */
  state_key?: string
  sender: UserId
  content: JsonObject
  /** The event that a redaction empties; its place in the PDU depends on the room version. */
  redacts?: EventId
  /** Whether the sender redacts as a server administrator: also what others of this server sent. */
  asAdmin?: boolean
  /** Milliseconds since the epoch; default: now. Only application services may set it. */
  origin_server_ts?: number | undefined
  /** The client's transaction. */
  txn?: { deviceId: DeviceId; id: string }
}
