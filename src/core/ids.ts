import { InvalidParamError } from './errors.ts'

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

/** The two halves of `&localpart:server`. */
export type IdParts = { localpart: string; serverName: ServerName }

/**
 * The parts of a user id, or `undefined` if it is none. Lenient about the localpart (any code points but `:` and NUL,
 * even none), as receivers have to be: https://spec.matrix.org/v1.19/appendices/#historical-user-ids
 */
export function parseUserId(id: string): IdParts | undefined {
  return parseId('@', id)
}

/** The parts of a room alias, or `undefined` if it is none. https://spec.matrix.org/v1.19/appendices/#room-aliases */
export function parseRoomAlias(id: string): IdParts | undefined {
  return parseId('#', id)
}

/** Whether a user id is valid in events; new ones must also pass `isStrictLocalpart`. */
export function isUserId(id: string): id is UserId {
  return parseUserId(id) !== undefined
}

/** Whether a localpart is allowed for a new user: https://spec.matrix.org/v1.19/appendices/#user-identifiers */
export function isStrictLocalpart(localpart: string): boolean {
  return /^[a-z0-9._=\-/+]+$/.test(localpart)
}

/** Whether it is a room id of any room version, with or without domain: https://spec.matrix.org/v1.19/appendices/#room-ids */
export function isRoomId(id: string): id is RoomId {
  return /^![A-Za-z0-9_-]{43}$/.test(id) || parseId('!', id) !== undefined
}

/** Whether it is a room alias: https://spec.matrix.org/v1.19/appendices/#room-aliases */
export function isRoomAlias(id: string): id is RoomAlias {
  return parseRoomAlias(id) !== undefined
}

/** Whether it can be an event id of some room version; beyond sigil and length they are opaque. https://spec.matrix.org/v1.19/appendices/#event-ids */
export function isEventId(id: string): id is EventId {
  return id.length > 1 && id.startsWith('$') && isStorableName(id)
}

const DNS_NAME = /^[0-9A-Za-z.-]{1,255}$/
const IPV4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
const IPV6 = /^\[[0-9A-Fa-f:.]{2,45}\]$/

/** Whether it names a homeserver: DNS name, IPv4 or `[IPv6]`, and optional port. https://spec.matrix.org/v1.19/appendices/#server-name */
export function isServerName(name: string): name is ServerName {
  const host = name.replace(/:\d{1,5}$/, '')
  if (IPV4.test(host)) return host.split('.').every((part) => Number(part) <= 255)
  // The grammar allows invalid addresses such as `[:::]`; the URL parser checks IPv6 addresses.
  return DNS_NAME.test(host) || (IPV6.test(host) && URL.canParse(`http://${host}/`))
}

/** The server that an id names. Throws InvalidParamError for an id without domain. */
export function serverNameOf(id: UserId | RoomAlias): ServerName {
  return id.slice(colonOf(id) + 1) as ServerName
}

/** The part of a user id between sigil and domain. */
export function localpartOf(userId: UserId): string {
  return userId.slice(1, colonOf(userId))
}

/**
 * The server in any kind of id, or `undefined` if it has none (room ids since version 12, event ids since version 3) or
 * no valid one.
 */
export function domainOf(id: string): ServerName | undefined {
  const colon = id.indexOf(':')
  if (colon < 0) return undefined
  const name = id.slice(colon + 1)
  return isServerName(name) ? name : undefined
}

/** The create event of a room whose id is its hash, as since room version 12; undefined for a room id that names a server. https://spec.matrix.org/v1.19/rooms/v12/#event-format */
export function createEventIdOf(roomId: RoomId): EventId | undefined {
  return roomId.includes(':') ? undefined : (`$${roomId.slice(1)}` as EventId)
}

/**
 * Whether the database can store and index a text: at most `maxBytes` bytes of UTF-8, without NUL and lone surrogates.
 * No other text can be stored as a name, so a look-up of it finds nothing.
 */
export function isStorableName(text: string, maxBytes = 255): boolean {
  const isShort = maxBytes === 255 ? isWithin255Bytes(text) : Buffer.byteLength(text) <= maxBytes
  return isShort && !text.includes('\0') && text.isWellFormed()
}

/** The limit for ids, event types and state keys, which counts UTF-8 bytes. */
export function isWithin255Bytes(text: string): boolean {
  // No UTF-16 code unit takes more than three bytes, so short strings need no counting.
  return text.length <= 85 || (text.length <= 255 && Buffer.byteLength(text) <= 255)
}

function parseId(sigil: string, id: string): IdParts | undefined {
  if (!id.startsWith(sigil) || !isStorableName(id)) return undefined
  const serverName = domainOf(id)
  return serverName === undefined ? undefined : { localpart: id.slice(1, id.indexOf(':')), serverName }
}

function colonOf(id: string): number {
  const colon = id.indexOf(':')
  if (colon < 0) throw new InvalidParamError(`${id} has no server name`)
  return colon
}
