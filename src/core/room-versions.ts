/**
 * The differences between room versions; each flag names the version that introduced it.
 * https://spec.matrix.org/v1.19/rooms/
 */
export type RoomVersion = {
  readonly id: RoomVersionId
  /**
   * `event_id` is a field of the PDU (v1, v2) or derived from the reference hash in standard base64 (v3) or URL-safe
   * base64 (v4 on).
   */
  readonly eventIdFormat: 'server-chosen' | 'hash-base64' | 'hash-url-safe'
  readonly stateResolution: 'v1' | 'v2' | 'v2.1'
  /** v6: canonical JSON is enforced (integers within ±(2^53−1), no floats). */
  readonly strictCanonicalJson: boolean
  /** v5: a signing key past its `valid_until_ts` does not verify. */
  readonly enforceKeyValidity: boolean
  /** v1–v5: `m.room.aliases` has authorisation and redaction rules of its own. */
  readonly specialAliases: boolean
  /** v1, v2: redactions are checked by the domain of the event id instead of at redaction time. */
  readonly redactionByEventIdDomain: boolean
  /** v6: `notifications` in power levels is checked like `users` and `events`. */
  readonly limitNotificationPowerLevels: boolean
  /** v7: join rule and membership `knock`. */
  readonly knock: boolean
  /** v8: join rule `restricted`. */
  readonly restrictedJoins: boolean
  /** v10: join rule `knock_restricted`. */
  readonly knockRestricted: boolean
  /** v10: power levels must be integers, not strings. */
  readonly integerPowerLevels: boolean
  /** v8: redaction keeps `join_rules.allow`. */
  readonly redactionKeepsAllow: boolean
  /** v9: redaction keeps `join_authorised_via_users_server` of members. */
  readonly redactionKeepsJoinAuthorised: boolean
  /**
   * v11: `redacts` is in content, `creator` is implied by the sender, and the redaction algorithm changed (MSC2174,
   * 2175, 2176, 3989, 3821).
   */
  readonly redactsInContent: boolean
  /** v11: `m.room.create` has no `creator`; the sender is the creator. */
  readonly implicitCreator: boolean
  /** v11: ids, types and state keys have at most 255 bytes; before that servers counted code points. */
  readonly limitsFieldsInBytes: boolean
  /** v11: the updated redaction algorithm. */
  readonly updatedRedactions: boolean
  /** v12: the room id is the create event's reference hash, and create is not in `auth_events` (MSC4291). */
  readonly roomIdIsCreateHash: boolean
  /** v12: creators have infinite power and may not be listed in `users` (MSC4289). */
  readonly privilegedCreators: boolean
  /** MSC3757: a state key may be a user id with a suffix; only that user and users with more power may set it. */
  readonly ownedState: boolean
}

export type RoomVersionId =
  | '1'
  | '2'
  | '3'
  | '4'
  | '5'
  | '6'
  | '7'
  | '8'
  | '9'
  | '10'
  | '11'
  | '12'
  | 'org.matrix.msc3757.10'
  | 'org.matrix.msc3757.11'

const v1: RoomVersion = {
  id: '1',
  eventIdFormat: 'server-chosen',
  stateResolution: 'v1',
  strictCanonicalJson: false,
  enforceKeyValidity: false,
  specialAliases: true,
  redactionByEventIdDomain: true,
  limitNotificationPowerLevels: false,
  knock: false,
  restrictedJoins: false,
  knockRestricted: false,
  integerPowerLevels: false,
  redactionKeepsAllow: false,
  redactionKeepsJoinAuthorised: false,
  redactsInContent: false,
  implicitCreator: false,
  limitsFieldsInBytes: false,
  updatedRedactions: false,
  roomIdIsCreateHash: false,
  privilegedCreators: false,
  ownedState: false,
}
const v2: RoomVersion = { ...v1, id: '2', stateResolution: 'v2' }
const v3: RoomVersion = { ...v2, id: '3', eventIdFormat: 'hash-base64', redactionByEventIdDomain: false }
const v4: RoomVersion = { ...v3, id: '4', eventIdFormat: 'hash-url-safe' }
const v5: RoomVersion = { ...v4, id: '5', enforceKeyValidity: true }
const v6: RoomVersion = {
  ...v5,
  id: '6',
  strictCanonicalJson: true,
  specialAliases: false,
  limitNotificationPowerLevels: true,
}
const v7: RoomVersion = { ...v6, id: '7', knock: true }
const v8: RoomVersion = { ...v7, id: '8', restrictedJoins: true, redactionKeepsAllow: true }
const v9: RoomVersion = { ...v8, id: '9', redactionKeepsJoinAuthorised: true }
const v10: RoomVersion = { ...v9, id: '10', knockRestricted: true, integerPowerLevels: true }
const v11: RoomVersion = {
  ...v10,
  id: '11',
  redactsInContent: true,
  implicitCreator: true,
  limitsFieldsInBytes: true,
  updatedRedactions: true,
}
const v12: RoomVersion = {
  ...v11,
  id: '12',
  stateResolution: 'v2.1',
  roomIdIsCreateHash: true,
  privilegedCreators: true,
}

const ownedV10: RoomVersion = { ...v10, id: 'org.matrix.msc3757.10', ownedState: true }
const ownedV11: RoomVersion = { ...v11, id: 'org.matrix.msc3757.11', ownedState: true }

/** All supported room versions by id; unstable ones are last. */
export const ROOM_VERSIONS: ReadonlyMap<string, RoomVersion> = new Map(
  [v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, ownedV10, ownedV11].map((version) => [version.id, version]),
)

/** Whether the specification has a room version: https://spec.matrix.org/v1.19/rooms/#complete-list-of-room-versions */
export function isStableRoomVersion(id: string): boolean {
  return /^\d+$/.test(id)
}
