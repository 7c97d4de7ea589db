/** The tables of rendezvous sessions; `migrations/0022_threads_rendezvous.sql`, `0026_rendezvous_transactions.sql` and `0092_rendezvous_networks.sql` have their meaning. */
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
