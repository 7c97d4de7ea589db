import type { App } from '../../app.ts'
import { isContentUri } from '../../core/content-uri.ts'
import type { ClientEvent } from '../../core/events/client-event.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { paginationToken } from '../../core/pagination-token.ts'
import { readStateEvents } from '../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { serveEvents } from '../rooms/reading/serve-events.ts'
import { readVisiblePage } from '../rooms/reading/visible-pages.ts'
import type { FoundMessage } from './find-messages.ts'

/** The requested context of a result. */
export type ContextWanted = { before: number; after: number; withProfiles: boolean }

export type ResultContext = {
  start: string
  end: string
  events_before: ClientEvent[]
  events_after: ClientEvent[]
  profile_info?: Record<string, { displayname?: string; avatar_url?: string }>
}

/**
 * Returns the events around a result, nearest first, within a byte limit on either side, and the profiles of their
 * senders at the time.
 */
export async function resultContext(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  { event, access }: FoundMessage,
  command: { userId: UserId; deviceId: DeviceId | null; context: ContextWanted; bytes: number },
): Promise<ResultContext> {
  const { context, userId, deviceId, bytes } = command
  const order = event.event_order!
  const around = { access, userId, filter: {}, bytes }
  const before = await readVisiblePage(app, {
    ...around,
    direction: 'backwards',
    from: order - 1,
    limit: context.before,
  })
  const after = await readVisiblePage(app, { ...around, direction: 'forwards', from: order, limit: context.after })
  const events = [...before.events, ...after.events]
  const served = await serveEvents(app, { events, userId, deviceId, bundle: true })
  return {
    start: paginationToken((before.events.at(-1) ?? event).event_order! - 1),
    end: paginationToken((after.events.at(-1) ?? event).event_order!),
    events_before: served.slice(0, before.events.length),
    events_after: served.slice(before.events.length),
    ...(context.withProfiles && { profile_info: await profilesAt(app, event, [event, ...events]) }),
  }
}

async function profilesAt(
  app: Pick<App, 'database'>,
  { state_after }: StoredEvent,
  events: readonly StoredEvent[],
): Promise<NonNullable<ResultContext['profile_info']>> {
  const senders = [...new Set(events.map((event) => event.pdu.sender))]
  const keys = senders.map((sender) => ({ type: 'm.room.member', state_key: sender }))
  const members = await readStateEvents(app.database, state_after ?? 0, keys)
  return Object.fromEntries(senders.map((sender, place) => [sender, profileOf(members[place])]))
}

function profileOf(member: StoredEvent | undefined): { displayname?: string; avatar_url?: string } {
  const { displayname, avatar_url } = member?.pdu.content ?? {}
  return {
    ...(typeof displayname === 'string' && { displayname }),
    ...(isContentUri(avatar_url) && { avatar_url }),
  }
}
