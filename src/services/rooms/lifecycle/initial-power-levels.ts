import type { UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { PRESETS, type Preset } from './presets.ts'

export type RoomFounders = {
  creator: UserId
  preset: Preset
  invitees: readonly UserId[]
  /** Replaces top-level keys of the default content. */
  override: JsonObject
}

/**
 * Returns the content of a new room's `m.room.power_levels`:
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
 */
export function initialPowerLevels(version: RoomVersion, founders: RoomFounders): JsonObject {
  const { state_default, events, ...levels } = EVERYWHERE
  return {
    users: usersIn(version, founders),
    users_default: 0,
    // Creators have more power than any level: only they, and users they raise above the rest, may close the room for
    // good.
    events: { ...events, 'm.room.tombstone': version.privilegedCreators ? 150 : 100 },
    events_default: 0,
    state_default,
    ...levels,
    invite: PRESETS[founders.preset].invite,
    ...founders.override,
  }
}

const EVERYWHERE = {
  state_default: 50,
  ban: 50,
  kick: 50,
  redact: 50,
  events: {
    'm.room.name': 50,
    'm.room.avatar': 50,
    'm.room.canonical_alias': 50,
    'm.room.power_levels': 100,
    'm.room.history_visibility': 100,
    'm.room.encryption': 100,
    'm.room.server_acl': 100,
    // Every member may join calls: https://github.com/matrix-org/matrix-spec-proposals/pull/4143
    'org.matrix.msc3401.call.member': 0,
  },
}

/** From version 12 on creators are not listed; with a trusted preset the invitees are creators too. */
function usersIn(version: RoomVersion, { creator, preset, invitees }: RoomFounders): Record<UserId, number> {
  if (version.privilegedCreators) return {}
  const equals = PRESETS[preset].trustsInvitees ? invitees : []
  return Object.fromEntries([creator, ...equals].map((userId) => [userId, 100]))
}
