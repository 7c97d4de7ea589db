import type { JsonObject } from '../../../core/pdu.ts'
import type { ReceiptRow } from '../../../storage/schema/ephemeral.ts'

type Content = { [eventId: string]: { [receiptType: string]: { [userId: string]: JsonObject } } }

/**
 * Returns the contents of a room's `m.receipt` events: usually one; more if a user has receipts of several threads at
 * one event, which one content cannot express. https://spec.matrix.org/v1.19/client-server-api/#mreceipt
 */
export function receiptContents(receipts: readonly ReceiptRow[]): JsonObject[] {
  const contents: Content[] = []
  for (const receipt of receipts) {
    if (contents.some((content) => place(content, receipt))) continue
    // Without a prototype, whose keys an ID could collide with.
    const content: Content = Object.create(null)
    place(content, receipt)
    contents.push(content)
  }
  return contents
}

/** Adds a receipt to a content; returns false if its key is taken. */
function place(content: Content, { event_id, receipt_type, user_id, thread_id, ts }: ReceiptRow): boolean {
  const types = content[event_id] ?? {}
  const users = types[receipt_type] ?? {}
  if (users[user_id]) return false
  users[user_id] = { ts, ...(thread_id !== '' && { thread_id }) }
  types[receipt_type] = users
  content[event_id] = types
  return true
}
