import { type DeviceId, isStorableName } from './ids.ts'

/**
 * Scope tokens: https://spec.matrix.org/v1.19/client-server-api/#scope. Each has a stable name, and the one of MSC2967
 * that many clients use. One request must not mix them.
 */
const API_SCOPES = ['urn:matrix:client:api:*', 'urn:matrix:org.matrix.msc2967.client:api:*'] as const
const DEVICE_PREFIXES = ['urn:matrix:client:device:', 'urn:matrix:org.matrix.msc2967.client:device:'] as const
/** Of Synapse, for its admin API. */
const SYNAPSE_ADMIN_SCOPE = 'urn:synapse:admin:*'
/** Of the Matrix Authentication Service, for its admin API. */
const MAS_ADMIN_SCOPE = 'urn:mas:admin'
const OPENID_SCOPE = 'openid'

/** Scope tokens without parameters, for the metadata. */
export const FIXED_SCOPES = [OPENID_SCOPE, ...API_SCOPES, SYNAPSE_ADMIN_SCOPE, MAS_ADMIN_SCOPE]

/** The rights that a scope grants. */
export type GrantedRights = {
  /** The client-server API. */
  api: boolean
  /** The device of the session; undefined: a session without a device. */
  deviceId: DeviceId | undefined
  /** Administration of this server, for administrators. */
  admin: boolean
  /** The identity of the user, by an ID token. */
  openid: boolean
}

/** A requested scope that cannot be granted: the reason. */
export type InvalidScope = { reason: string }

const MIN_DEVICE_ID = 10
const MAX_DEVICE_ID = 255
/** Device IDs of QR sign-in are keys in base64, with `+` and `/`. */
const DEVICE_ID = /^[A-Za-z0-9._~!$&'()*+,;=:@/-]+$/

/** Returns the known tokens of a requested scope and what they permit, or why the scope is invalid. */
export function parseScope(text: string): { scope: string; rights: GrantedRights } | InvalidScope {
  const tokens = [...new Set(text.split(' '))].filter((token) => token !== '')
  const devices = tokens.flatMap((token) => {
    const prefix = DEVICE_PREFIXES.find((start) => token.startsWith(start))
    return prefix === undefined ? [] : [token.slice(prefix.length)]
  })
  const isUnstable = (token: string) => token.startsWith('urn:matrix:org.matrix.msc2967.client:')
  const isStable = (token: string) => token.startsWith('urn:matrix:client:')
  if (tokens.some(isUnstable) && tokens.some(isStable)) return { reason: 'stable and unstable scope names are mixed' }
  if (devices.length > 1) return { reason: 'more than one device is requested' }
  const [deviceId] = devices
  if (deviceId !== undefined && !isDeviceId(deviceId))
    return { reason: `a device ID has ${MIN_DEVICE_ID} to ${MAX_DEVICE_ID} characters, of those that URLs permit` }
  const known = tokens.filter((token) => isFixed(token) || isDevice(token))
  const rights = rightsOf(known.join(' '))
  if (!rights.api && !rights.admin && !rights.openid) return { reason: 'nothing that this server knows is requested' }
  if (deviceId !== undefined && !rights.api) return { reason: 'a device needs the scope urn:matrix:client:api:*' }
  return { scope: known.join(' '), rights }
}

/** Returns what a granted scope permits. */
export function rightsOf(scope: string): GrantedRights {
  const tokens = scope.split(' ')
  const device = tokens.find(isDevice)
  const prefix = DEVICE_PREFIXES.find((start) => device?.startsWith(start))
  return {
    api: permitsApi(scope),
    deviceId: prefix === undefined ? undefined : (device!.slice(prefix.length) as DeviceId),
    admin: tokens.some(isAdmin),
    openid: permitsOpenId(scope),
  }
}

/** Whether a scope permits the client-server API. */
export function permitsApi(scope: string): boolean {
  return API_SCOPES.some((token) => includes(scope, token))
}

/** Whether a scope permits the endpoints for administrators of Synapse and of Hearth. */
export function permitsAdmin(scope: string): boolean {
  return includes(scope, SYNAPSE_ADMIN_SCOPE)
}

/** Whether a scope permits the endpoints for administrators of the Matrix Authentication Service. */
export function permitsMasAdmin(scope: string): boolean {
  return includes(scope, MAS_ADMIN_SCOPE)
}

/** Whether a scope permits to learn who the user is. */
export function permitsOpenId(scope: string): boolean {
  return includes(scope, OPENID_SCOPE)
}

/** Returns a scope without the rights of administrators. */
export function withoutAdmin(scope: string): string {
  return scope
    .split(' ')
    .filter((token) => !isAdmin(token))
    .join(' ')
}

/** Returns the part of a scope that is about APIs, without the device and the identity of a session. */
export function apiScope(scope: string): string {
  return scope
    .split(' ')
    .filter((token) => !isDevice(token) && token !== OPENID_SCOPE)
    .join(' ')
}

function includes(scope: string, token: string): boolean {
  return ` ${scope} `.includes(` ${token} `)
}

function isFixed(token: string): boolean {
  return FIXED_SCOPES.includes(token)
}

function isDevice(token: string): boolean {
  return DEVICE_PREFIXES.some((prefix) => token.startsWith(prefix))
}

function isAdmin(token: string): boolean {
  return token === SYNAPSE_ADMIN_SCOPE || token === MAS_ADMIN_SCOPE
}

function isDeviceId(text: string): boolean {
  return text.length >= MIN_DEVICE_ID && DEVICE_ID.test(text) && isStorableName(text, MAX_DEVICE_ID)
}
