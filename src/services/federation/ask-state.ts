import type { Event } from '../../core/events/pdu.ts'
import type { EventId } from '../../core/ids.ts'
import { createSpool } from '../../infra/spool.ts'
import { type AskingApp, MAX_EVENTS, verified } from './ask-for-events.ts'
import { askForItems, type EventSource } from './ask-for-items.ts'
import type { JoinAnswer } from './read-join-answer.ts'

/**
 * The state before an event and what permits it, as a server tells them, verified; the texts are in a spool, for there may be many. The caller closes
 * it. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
 */
export async function askState(app: AskingApp, source: EventSource, eventId: EventId): Promise<JoinAnswer> {
  const path = `state/${encodeURIComponent(source.roomId)}`
  const request = {
    method: 'GET',
    path,
    query: { event_id: eventId },
    lists: ['pdus', 'auth_chain'],
    maxItems: 2 * MAX_EVENTS,
  } as const
  const spool = createSpool()
  const told: JoinAnswer = {
    events: new Map(),
    state: new Set(),
    join: undefined,
    membersOmitted: false,
    servers: [],
    spool,
  }
  try {
    for await (const items of askForItems(app, source, request)) {
      const values = items.map(({ value }) => value)
      await note(told, source, await verified(app, source, values))
    }
  } catch (error) {
    await spool.close()
    throw error
  }
  return told
}

async function note(told: JoinAnswer, { version, roomId }: EventSource, events: readonly Event[]): Promise<void> {
  const fresh = [...new Map(events.map((event) => [event.event_id, event])).values()].filter(
    ({ event_id }) => !told.events.has(event_id),
  )
  const places = await told.spool.add(fresh.map(({ pdu }) => JSON.stringify(pdu)))
  const createIds = version.roomIdIsCreateHash ? [`$${roomId.slice(1)}` as EventId] : []
  for (const [place, event] of fresh.entries()) {
    const authIds = event.pdu.type === 'm.room.create' ? [] : [...event.auth_event_ids, ...createIds]
    told.events.set(event.event_id, { authIds, text: places[place]! })
  }
}
