import type { DeviceId, EventId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'

/** An event to be sent by a local user. */
export type NewEvent = {
  type: string
  /** Present: a state event. */
  state_key?: string
  sender: UserId
  content: JsonObject
  /** The redacted event; its place in the PDU depends on the room version. */
  redacts?: EventId
  /** Whether the sender redacts as a server administrator, who may redact events of other local users. */
  asAdmin?: boolean
  /** Milliseconds since the epoch; default: now. Only application services may set it. */
  origin_server_ts?: number | undefined
  /** How long the event is sticky (MSC4354), in milliseconds. */
  sticky_ms?: number | undefined
  /** The client's transaction. */
  txn?: { deviceId: DeviceId; id: string }
}
