import type { RoomAlias, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { Profile } from '../../../storage/users/profiles.ts'
import { memberContent } from '../access/member-content.ts'
import { initialPowerLevels } from './initial-power-levels.ts'
import { PRESETS, type Preset } from './presets.ts'

/** A state event of a new room, sent by its creator. */
export type InitialEvent = { type: string; state_key: string; content: JsonObject }

/** The input from which a room's initial events follow. */
export type RoomPlan = {
  creator: UserId
  version: RoomVersion
  preset: Preset
  alias: RoomAlias | undefined
  name: string | undefined
  topic: string | undefined
  invitees: readonly UserId[]
  /** The local invitees: remote ones are invited later through their servers. */
  ownInvitees: readonly UserId[]
  isDirect: boolean
  creationContent: JsonObject
  initialState: readonly InitialEvent[]
  powerLevelOverride: JsonObject
  /** The content of `m.room.server_acl`, unless the initial state has one. */
  serverAcl: JsonObject | undefined
  /** Profiles of the creator and the invitees. */
  profiles: ReadonlyMap<UserId, Profile>
}

/**
 * Returns the initial events of a room, in the order that
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom defines.
 */
export function initialEvents(plan: RoomPlan): InitialEvent[] {
  const { alias, name, topic } = plan
  return [
    state('m.room.create', createContent(plan)),
    member(plan, plan.creator, 'join'),
    state('m.room.power_levels', powerLevelsContent(plan)),
    ...(alias === undefined ? [] : [state('m.room.canonical_alias', { alias })]),
    ...presetState(plan),
    ...aclState(plan),
    ...plan.initialState,
    ...(name === undefined ? [] : [state('m.room.name', { name })]),
    ...(topic === undefined ? [] : [state('m.room.topic', topicContent(topic))]),
    ...plan.ownInvitees.map((userId) => member(plan, userId, 'invite')),
  ]
}

function state(type: string, content: JsonObject): InitialEvent {
  return { type, state_key: '', content }
}

function member(plan: RoomPlan, userId: UserId, membership: 'join' | 'invite'): InitialEvent {
  const wanted: JsonObject = membership === 'invite' && plan.isDirect ? { is_direct: true } : {}
  const content = memberContent(membership, wanted, plan.profiles.get(userId) ?? {})
  return { type: 'm.room.member', state_key: userId, content }
}

function createContent({ creator, version, preset, invitees, creationContent }: RoomPlan): JsonObject {
  const { creator: _creator, room_version: _version, ...content } = creationContent
  if (!version.implicitCreator) content.creator = creator
  content.room_version = version.id
  if (!version.privilegedCreators || !PRESETS[preset].trustsInvitees || invitees.length === 0) return content
  const { additional_creators: named = [] } = content
  // The authorization rules reject a value that is not a list.
  if (Array.isArray(named)) content.additional_creators = [...new Set([...named, ...invitees])]
  return content
}

function powerLevelsContent({ version, powerLevelOverride: override, ...founders }: RoomPlan): JsonObject {
  return initialPowerLevels(version, { ...founders, override })
}

function presetState({ preset, initialState }: RoomPlan): InitialEvent[] {
  const isSet = (type: string) => initialState.some((event) => event.type === type && event.state_key === '')
  return PRESETS[preset].state.filter(({ type }) => !isSet(type)).map(({ type, content }) => state(type, content))
}

/** A room that is only for this server needs none. */
function aclState({ serverAcl, creationContent, initialState }: RoomPlan): InitialEvent[] {
  const isSet = initialState.some((event) => event.type === 'm.room.server_acl' && event.state_key === '')
  return serverAcl && !isSet && creationContent['m.federate'] !== false ? [state('m.room.server_acl', serverAcl)] : []
}

/** https://spec.matrix.org/v1.19/client-server-api/#mroomtopic */
function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ body: topic }] } }
}
