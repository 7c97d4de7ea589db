import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import type { StateKey } from '../../../core/pdu.ts'
import { isLazy, type RoomConfig, stateToRead, takesState } from '../../../core/rooms/room-config.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readAllState, readChangedState, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StateBudget } from '../../../storage/rooms/timeline/state-budget.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

type Reading = Pick<App, 'database'>

/** More members change at once only after a resync: then lazy-loading clients fetch members themselves. */
const MOST_LAZY_MEMBERS = 100

/** The state changes for a client; for a new room all state. */
export type StateNews = {
  /** Events that match the client's configuration. */
  required: StoredEvent[]
  /** Matching state that was removed. */
  deleted: StateKey[]
  /** Whether the members (or the heroes), the name, or the avatar may have changed. */
  changes: { members: boolean; name: boolean; avatar: boolean }
}

/** A range of a room's state: `from` undefined for a room that is new to the client. */
export type StateSpan = {
  from: number | undefined
  to: number
  config: RoomConfig
  /** The configuration of the last response; undefined: same as `config`. */
  oldConfig: RoomConfig | undefined
  timeline: readonly StoredEvent[]
  /** Whether events are missing between the client's position and the timeline. */
  limited: boolean
  /** Nids of member events that the client has received and does not need again. */
  sentMembers: readonly number[]
  /** The remaining budget for state. */
  budget: StateBudget
  /** Nids of redacted state events: they are in the same state as before, but differ from the client's copy. */
  redacted: readonly number[]
}

/**
 * Returns the state that a room's configuration requests: all of it or the changes, and state that the previous
 * configuration did not request. With lazy loading: the members relevant to the timeline and, if it has no gap, all
 * changed ones.
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md#lazy-loaded-memberships
 */
export async function stateNews(app: Reading, span: StateSpan): Promise<StateNews> {
  return span.from === undefined ? allState(app, span) : changedState(app, { ...span, from: span.from })
}

async function allState(app: Reading, span: StateSpan): Promise<StateNews> {
  const [wanted, members] = await Promise.all([wantedState(app, span.to, span), lazyMembers(app, span)])
  return {
    required: unique([...wanted, ...members]),
    deleted: [],
    changes: { members: true, name: true, avatar: true },
  }
}

async function changedState(app: Reading, span: StateSpan & { from: number }): Promise<StateNews> {
  const { from, to, config, oldConfig, limited } = span
  const [{ added: other, removed }, members, expansion, emptied] = await Promise.all([
    readChangedState(app.database, { from, to }, span.budget),
    lazyMembers(app, span),
    oldConfig ? expandedState(app, to, { config, oldConfig, budget: span.budget }) : [],
    emptiedState(app, span),
  ])
  const added = unique([...other, ...emptied])
  const isMember = ({ pdu }: StoredEvent) => pdu.type === 'm.room.member'
  const takesAllMembers = isLazy(config) && !limited && added.filter(isMember).length <= MOST_LAZY_MEMBERS
  const wanted = added.filter((event) => takesState(config, keyOf(event)) || (takesAllMembers && isMember(event)))
  const present = new Set(added.map((event) => JSON.stringify(keyOf(event))))
  const changed = [...added, ...removed]
  const has = (type: string) => changed.some(({ pdu }) => pdu.type === type)
  return {
    required: unique([...wanted, ...members, ...expansion]),
    deleted: removed.map(keyOf).filter((key) => !present.has(JSON.stringify(key)) && takesState(config, key)),
    changes: {
      // A room without a name or alias is named by its members.
      members: has('m.room.member') || has('m.room.name') || has('m.room.canonical_alias'),
      name: has('m.room.name'),
      avatar: has('m.room.avatar'),
    },
  }
}

async function emptiedState(app: Reading, { to, redacted }: StateSpan): Promise<StoredEvent[]> {
  if (redacted.length === 0) return []
  const events = [...(await loadEvents(app.database, redacted)).values()]
  const current = await readStateEvents(app.database, to, events.map(keyOf))
  return events.filter((event, place) => current[place]?.event_nid === event.event_nid)
}

/** Returns the state that the new configuration matches and the old one did not. */
async function expandedState(
  app: Reading,
  root: number,
  { oldConfig, ...wanted }: { config: RoomConfig; oldConfig: RoomConfig; budget: StateBudget },
): Promise<StoredEvent[]> {
  const { config } = wanted
  if (config === oldConfig || JSON.stringify(config.requiredState) === JSON.stringify(oldConfig.requiredState))
    return []
  return (await wantedState(app, root, wanted)).filter((event) => !takesState(oldConfig, keyOf(event)))
}

async function wantedState(
  app: Reading,
  root: number,
  { config, budget }: { config: RoomConfig; budget: StateBudget },
): Promise<StoredEvent[]> {
  const { keys, bulk } = stateToRead(config)
  const [single, many] = await Promise.all([
    readStateEvents(app.database, root, keys),
    bulk === 'none' ? [] : readAllState(app.database, root, bulk, budget),
  ])
  const found = unique([...single.flatMap((event) => event ?? []), ...many])
  return found.filter((event) => takesState(config, keyOf(event)))
}

/** Returns the senders in a timeline, and users whose membership changes in it, unless sent before. */
async function lazyMembers(app: Reading, { to, config, timeline, sentMembers }: StateSpan): Promise<StoredEvent[]> {
  if (!isLazy(config)) return []
  const users = timeline.flatMap(({ pdu }) =>
    pdu.type === 'm.room.member' && pdu.state_key !== undefined ? [pdu.sender, pdu.state_key as UserId] : pdu.sender,
  )
  const keys = [...new Set(users)].map((state_key) => ({ type: 'm.room.member', state_key }))
  const members = await readStateEvents(app.database, to, keys)
  return members.flatMap((member) => (member && !sentMembers.includes(member.event_nid) ? member : []))
}

function unique(events: readonly StoredEvent[]): StoredEvent[] {
  return [...new Map(events.map((event) => [event.event_nid, event])).values()]
}

function keyOf({ pdu }: StoredEvent): StateKey {
  return { type: pdu.type, state_key: pdu.state_key ?? '' }
}
