import type { EventId } from '../../../core/ids.ts'
import { type AskingApp, MAX_EVENTS } from './ask-for-events.ts'
import { askForItems, type EventSource } from './ask-for-items.ts'
import { createEventCollector, emptyReceived, type ReceivedEvents } from './received-events.ts'

/**
 * Fetches and verifies the state before an event and its auth chain. The texts are in a spool, since there may be many.
 * The caller closes it. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
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
  const received = emptyReceived()
  const collector = createEventCollector(app, source, received)
  try {
    for await (const items of askForItems(app, source, request)) {
      await collector.add(items.map(({ key, value }) => ({ pdu: value, isState: key === 'pdus' })))
    }
    await collector.end()
  } catch (error) {
    // Pending work may still write to the spool.
    await collector.end().catch(() => {})
    await received.spool.close()
    throw error
  }
  return received
}
