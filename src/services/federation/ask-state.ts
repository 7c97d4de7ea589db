import type { EventId } from '../../core/ids.ts'
import { createSpool } from '../../infra/spool.ts'
import { type AskingApp, MAX_EVENTS, verified } from './ask-for-events.ts'
import { askForItems, type EventSource } from './ask-for-items.ts'
import { addReceived, type ReceivedEvents } from './received-events.ts'

/**
 * The state before an event and what permits it, as a server tells them, verified; the texts are in a spool, for there may be many. The caller closes
 * it. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
 */
export async function askState(app: AskingApp, source: EventSource, eventId: EventId): Promise<ReceivedEvents> {
  const path = `state/${encodeURIComponent(source.roomId)}`
  const request = {
    method: 'GET',
    path,
    query: { event_id: eventId },
    lists: ['pdus', 'auth_chain'],
    maxItems: 2 * MAX_EVENTS,
  } as const
  const spool = createSpool()
  const told: ReceivedEvents = { events: new Map(), state: new Set(), spool }
  try {
    for await (const items of askForItems(app, source, request)) {
      const values = items.map(({ value }) => value)
      await addReceived(told, source, { events: await verified(app, source, values) })
    }
  } catch (error) {
    await spool.close()
    throw error
  }
  return told
}
