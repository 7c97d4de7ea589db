declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** `@localpart:server` */
export type UserId = Branded<'UserId'>
/** `!opaque:server`, or `!hash` in room version 12 and later. */
export type RoomId = Branded<'RoomId'>
/** `#alias:server` */
export type RoomAlias = Branded<'RoomAlias'>
/** `$hash`, or `$opaque:server` in room versions 1 and 2. */
export type EventId = Branded<'EventId'>
/** The name of a homeserver: host and optional port. */
export type ServerName = Branded<'ServerName'>
/** The id of one device of a user; opaque. */
export type DeviceId = Branded<'DeviceId'>
