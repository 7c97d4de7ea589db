/** The properties of a room version that determine an event's format. https://spec.matrix.org/v1.19/rooms/ */
export type RoomVersion = {
  readonly id: string
  /** The version of the specification that it is, or is based on. */
  readonly number: number
  readonly eventIds: 'chosen' | 'Base64' | 'URL-safe Base64'
  readonly knock: boolean
  readonly restrictedJoins: boolean
  /** `m.room.create` has no `creator`. */
  readonly implicitCreator: boolean
  readonly redactsInContent: boolean
  readonly roomIdIsCreateHash: boolean
  /** Creators are not in the power levels. */
  readonly privilegedCreators: boolean
}

const NUMBERS = Array.from({ length: 12 }, (_, place) => place + 1)

/** All room versions that Hearth supports, by id; unstable ones are last. */
export const ROOM_VERSIONS: ReadonlyMap<string, RoomVersion> = new Map(
  [
    ...NUMBERS.map((number) => describe(String(number), number)),
    ...[10, 11].map((number) => describe(`org.matrix.msc3757.${number}`, number)),
  ].map((version) => [version.id, version]),
)

function describe(id: string, number: number): RoomVersion {
  return {
    id,
    number,
    eventIds: number < 3 ? 'chosen' : number === 3 ? 'Base64' : 'URL-safe Base64',
    knock: number >= 7,
    restrictedJoins: number >= 8,
    implicitCreator: number >= 11,
    redactsInContent: number >= 11,
    roomIdIsCreateHash: number >= 12,
    privilegedCreators: number >= 12,
  }
}
