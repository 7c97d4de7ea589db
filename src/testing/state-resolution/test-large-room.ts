import type { EventId } from '../../core/ids.ts'
import type { Event } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { stateKeyId } from '../../core/state-resolution/state-map.ts'
import { type TestEvent, testEvent } from '../auth-rules/test-event.ts'

/** A room with many members and many changes of the power levels, each referencing the one before. */
export type LargeRoom = { events: Map<EventId, Event>; state: Map<string, EventId> }

/** Creates the room; @alice:a is its creator and may do everything. */
export function largeRoom(version: RoomVersion, size: { members: number; levelChanges: number }): LargeRoom {
  const room: LargeRoom = { events: new Map(), state: new Map() }
  const alice = { membership: 'join' }
  addTo(version, room, {
    event_id: '$create',
    type: 'm.room.create',
    content: { creator: '@alice:a' },
    prev_events: [],
  })
  addTo(version, room, { event_id: '$alice', type: 'm.room.member', state_key: '@alice:a', content: alice }, [])
  addTo(version, room, { event_id: '$rules', type: 'm.room.join_rules', content: { join_rule: 'public' } }, ['$alice'])
  const users = version.privilegedCreators ? {} : { '@alice:a': 100 }
  for (let change = 0; change < size.levelChanges; change++) {
    const authEvents = change === 0 ? ['$alice'] : ['$alice', `$levels-${change - 1}`]
    const content = { users, ban: change % 100 }
    addTo(version, room, { event_id: `$levels-${change}`, type: 'm.room.power_levels', content }, authEvents)
  }
  for (let member = 0; member < size.members; member++) {
    const sender = `@user-${member}:b`
    const authEvents = ['$rules', `$levels-${Math.floor((member * size.levelChanges) / size.members)}`]
    const fields = { event_id: `$join-${member}`, type: 'm.room.member', state_key: sender, sender, content: alice }
    addTo(version, room, fields, authEvents)
  }
  return room
}

/** Adds a state event that references the create event, if the version requires it, and others. */
export function addTo(version: RoomVersion, room: LargeRoom, fields: TestEvent, authEvents: string[] = []): void {
  const isCreate = fields.type === 'm.room.create'
  const event = testEvent({
    room_id: version.roomIdIsCreateHash ? (isCreate ? null : '!create') : '!room:a',
    state_key: '',
    auth_events: version.roomIdIsCreateHash || isCreate ? authEvents : ['$create', ...authEvents],
    origin_server_ts: room.events.size,
    depth: room.events.size,
    ...fields,
  })
  room.events.set(event.event_id, event)
  room.state.set(stateKeyId(event.pdu.type, event.pdu.state_key!), event.event_id)
}
