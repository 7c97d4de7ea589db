import type { StateKey } from '../pdu.ts'

/** What matches state events; without a type or state key, any. */
export type StateElement = { type?: string | undefined; state_key?: string | undefined }

/** Which state of a room a client wants: what `include` matches and `exclude` does not, and members lazily. */
export type RequiredState = { include: StateElement[]; exclude: StateElement[]; lazyMembers: boolean }

/** What a list or subscription of sliding sync wants to know of its rooms: state that any of `requiredState` takes, and that many events. */
export type RoomConfig = { timelineLimit: number; requiredState: RequiredState[] }

const MEMBER = 'm.room.member'

/** What rooms get that several lists and subscriptions match: all that any of them wants. */
export function combineConfigs(configs: readonly RoomConfig[]): RoomConfig {
  const states = new Map(configs.flatMap(({ requiredState }) => requiredState).map((one) => [JSON.stringify(one), one]))
  return {
    timelineLimit: Math.max(0, ...configs.map(({ timelineLimit }) => timelineLimit)),
    requiredState: [...states].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, state]) => state),
  }
}

/** Whether a piece of state is wanted; members that are loaded lazily aside. */
export function takesState({ requiredState }: RoomConfig, key: StateKey): boolean {
  return requiredState.some(
    ({ include, exclude, lazyMembers }) =>
      include.some((element) => matches(element, key) && !(lazyMembers && isVagueMember(element, key))) &&
      !exclude.some((element) => matches(element, key)),
  )
}

/** Whether members are to be told when they matter for the timeline. */
export function isLazy({ requiredState }: RoomConfig): boolean {
  return requiredState.some(({ lazyMembers }) => lazyMembers)
}

/** What has to be read of a state so that all of it that the config takes is among it. */
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

/** Who wants members lazily does not mean them by "any type". */
function isVagueMember({ type }: StateElement, key: StateKey): boolean {
  return key.type === MEMBER && type === undefined
}
