import type { DeviceId, EventId } from '../../core/ids.ts'
import type { Event, Pdu } from '../../core/pdu.ts'

/** An event with local metadata in addition to the PDU. */
export type StoredEvent = Event & {
  readonly event_nid: number
  /** Place in the room's timeline; null for outliers and rejected events. */
  readonly event_order: number | null
  /** Roots of the room's state before and after the event; null for outliers. */
  readonly state_before: number | null
  readonly state_after: number | null
  /**
   * Roots of the room's current state when the event was added, before and after it; differs from the above if the room
   * had forked.
   */
  readonly room_before: number | null
  readonly room_after: number | null
  readonly soft_failed: boolean
  /** The redaction that redacted this event. */
  readonly redacted_by: EventId | null
  /** The client transaction that sent it, for `unsigned.transaction_id`. */
  readonly txn_device_id: DeviceId | null
  readonly txn_id: string | null
  /** The delayed event that became this event. */
  readonly delay_id?: string | null
  /** Length of the PDU's JSON in characters. */
  readonly size: number
}

/** Returns a PDU for storage: `unsigned` from other servers is not trusted. */
export function withoutUnsigned(pdu: Pdu): Pdu {
  if (pdu.unsigned === undefined) return pdu
  const { unsigned: _unsigned, ...kept } = pdu
  return kept
}
