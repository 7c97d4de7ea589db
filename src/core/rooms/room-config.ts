import type { StateKey } from '../pdu.ts'

/** Matches state events; an absent type or state key matches any. */
export type StateElement = { type?: string | undefined; state_key?: string | undefined }

/**
 * The state of a room that a client requests: events that `include` matches and `exclude` does not, and whether members
 * are lazy-loaded.
 */
export type RequiredState = { include: StateElement[]; exclude: StateElement[]; lazyMembers: boolean }

/**
 * The data of a room that a list or subscription of sliding sync requests: state that any of `requiredState` matches,
 * and the number of timeline events.
 */
export type RoomConfig = { timelineLimit: number; requiredState: RequiredState[] }

const MEMBER = 'm.room.member'

/** Combines the configurations of all lists and subscriptions that match a room: the union of their requests. */
export function combineConfigs(configs: readonly RoomConfig[]): RoomConfig {
  const states = new Map(configs.flatMap(({ requiredState }) => requiredState).map((one) => [JSON.stringify(one), one]))
  return {
    timelineLimit: Math.max(0, ...configs.map(({ timelineLimit }) => timelineLimit)),
    requiredState: [...states].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, state]) => state),
  }
}

/** Whether a state event is requested, except lazy-loaded members. */
export function takesState({ requiredState }: RoomConfig, key: StateKey): boolean {
  return requiredState.some(
    ({ include, exclude, lazyMembers }) =>
      include.some((element) => matches(element, key) && !(lazyMembers && isWildcardMember(element, key))) &&
      !exclude.some((element) => matches(element, key)),
  )
}

/** Whether members are sent when the timeline needs them. */
export function isLazy({ requiredState }: RoomConfig): boolean {
  return requiredState.some(({ lazyMembers }) => lazyMembers)
}

/** Returns the keys that must be read so that the result contains all requested state. */
export function stateToRead({ requiredState }: RoomConfig): { keys: StateKey[]; bulk: 'none' | 'rest' | 'all' } {
  const elements = requiredState.flatMap(({ include, lazyMembers }) =>
    include.map((element) => ({ ...element, lazyMembers })),
  )
  const keys = elements.flatMap(({ type, state_key }) =>
    type !== undefined && state_key !== undefined ? { type, state_key } : [],
  )
  const vague = elements.filter(({ type, state_key }) => type === undefined || state_key === undefined)
  const wantsMembers = vague.some(({ type, lazyMembers }) => type === MEMBER || (type === undefined && !lazyMembers))
  return { keys, bulk: wantsMembers ? 'all' : vague.length > 0 ? 'rest' : 'none' }
}

function matches({ type, state_key }: StateElement, key: StateKey): boolean {
  return (type === undefined || type === key.type) && (state_key === undefined || state_key === key.state_key)
}

/** With lazy-loaded members, a wildcard type does not match members. */
function isWildcardMember({ type }: StateElement, key: StateKey): boolean {
  return key.type === MEMBER && type === undefined
}
