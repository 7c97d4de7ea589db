/** Tables of rendezvous sessions: `migrations/0003_devices.sql`. */
export type RendezvousTables = {
  rendezvous_sessions: RendezvousRow
  rendezvous_transactions: { session_id: string; txn_id: string; sequence_token: string | null }
}

export type RendezvousRow = {
  session_id: string
  creator: string
  /** The wide network of a creator without an account; null for users. */
  network: string | null
  content: string
  content_type: string
  sequence_token: string
  changed_ts: number
  expires_ts: number
}
