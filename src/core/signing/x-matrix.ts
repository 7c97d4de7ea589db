import { isServerName, type ServerName } from '../ids.ts'

/**
 * The authentication header of a federation request:
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 */
export type XMatrixCredentials = {
  origin: ServerName
  /** Absent in requests of old servers. */
  destination: string | undefined
  /** Such as `ed25519:key1`. */
  keyId: string
  /** Base64 */
  signature: string
}

/** The part of a request that its signature covers. */
export type SignedRequest = {
  method: string
  /** Path and query, as on the wire. */
  uri: string
  origin: ServerName
  destination: ServerName
  /** Canonical JSON of the body; absent if there is no body. */
  content?: string | undefined
}

/** Returns the canonical JSON that is signed. */
export function requestText({ method, uri, origin, destination, content }: SignedRequest): string {
  const body = content === undefined ? '' : `"content":${content},`
  const quoted = [destination, method, origin, uri].map((text) => JSON.stringify(text))
  return `{${body}"destination":${quoted[0]},"method":${quoted[1]},"origin":${quoted[2]},"uri":${quoted[3]}}`
}

/** Formats the Authorization header in a form that old servers also parse. */
export function formatXMatrix(credentials: XMatrixCredentials & { destination: string }): string {
  const { origin, destination, keyId, signature } = credentials
  return `X-Matrix origin="${origin}",destination="${destination}",key="${keyId}",sig="${signature}"`
}

/**
 * Parses an Authorization header; `undefined` if it is not valid X-Matrix. Lenient as the specification requires: names
 * in any case and order, blanks around commas, values with or without quotes, colons and Base64 without quotes, unknown
 * parameters.
 */
export function parseXMatrix(header: string): XMatrixCredentials | undefined {
  const scheme = /^x-matrix[ \t]+/i.exec(header)
  const parameters = scheme ? parseParameters(header.slice(scheme[0].length)) : undefined
  const origin = parameters?.get('origin')
  const keyId = parameters?.get('key')
  const signature = parameters?.get('sig')
  if (origin === undefined || keyId === undefined || signature === undefined || !isServerName(origin)) return undefined
  return { origin, destination: parameters?.get('destination'), keyId, signature }
}

/** A name, then a quoted or unquoted value, then a comma or the end. */
const PARAMETER = /[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^",\s]+)[ \t]*)?(?:,|$)/y
const EMPTY = /[ \t]*(?:,|$)/y

/** Parameters by name in lower case; `undefined` if the list is malformed or has duplicate names. */
function parseParameters(text: string): Map<string, string> | undefined {
  const parameters = new Map<string, string>()
  for (let place = 0; place < text.length; ) {
    PARAMETER.lastIndex = EMPTY.lastIndex = place
    const [all, name, quoted, plain] = EMPTY.exec(text) ?? PARAMETER.exec(text) ?? []
    if (all === undefined) return undefined
    place += all.length
    if (name === undefined) continue
    const key = name.toLowerCase()
    if (parameters.has(key)) return undefined
    parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
  }
  return parameters
}
