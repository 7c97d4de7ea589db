import type { JsonObject } from '../../../core/pdu.ts'
import type { ReceiptRow } from '../../../storage/schema/ephemeral.ts'

type Content = { [eventId: string]: { [receiptType: string]: { [userId: string]: JsonObject } } }

/**
 * The contents of a room's `m.receipt` events: one, or more where a user has receipts of several threads at the same
 * event, for which one content has no place. https://spec.matrix.org/v1.19/client-server-api/#mreceipt
 */
export function receiptContents(receipts: readonly ReceiptRow[]): JsonObject[] {
  const contents: Content[] = []
  for (const receipt of receipts) {
    if (contents.some((content) => place(content, receipt))) continue
    // Without a prototype, which an id could name.
    const content: Content = Object.create(null)
    place(content, receipt)
    contents.push(content)
  }
  return contents
}

/** Puts a receipt into a content; false if its place is taken. */
function place(content: Content, { event_id, receipt_type, user_id, thread_id, ts }: ReceiptRow): boolean {
  const types = content[event_id] ?? {}
  const users = types[receipt_type] ?? {}
  if (users[user_id]) return false
  users[user_id] = { ts, ...(thread_id !== '' && { thread_id }) }
  types[receipt_type] = users
  content[event_id] = types
  return true
}
