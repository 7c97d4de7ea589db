import { type ServerName, serverNameOf } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import type { MemberCountChange } from './membership/room-memberships.ts'
import { type AppendedEvent, isNewForClients } from './timeline/locked-room.ts'

const MESSAGES: readonly string[] = ['m.room.message', 'm.room.encrypted']

/** Counts messages and joins in memory once they are committed, for the figures of the server. */
export function countStored(
  tx: Tx,
  ourName: ServerName,
  { events, counts }: { events: readonly AppendedEvent[]; counts: readonly MemberCountChange[] },
): void {
  const messages = events.filter(isMessage)
  const joins = counts.reduce((sum, { joined }) => sum + Math.max(0, joined), 0)
  if (messages.length === 0 && joins === 0) return
  tx.afterCommit(() => {
    tx.stored.messages += messages.length
    tx.stored.messages_sent += messages.filter(({ pdu }) => serverNameOf(pdu.sender) === ourName).length
    tx.stored.joins += joins
  })
}

function isMessage(event: AppendedEvent): boolean {
  const { type, state_key } = event.pdu
  return MESSAGES.includes(type) && state_key === undefined && !event.is_recomputed && isNewForClients(event)
}
