import { isServerName, type ServerName } from '../ids.ts'

/** What a request says of who sent it: https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
export type XMatrixCredentials = {
  origin: ServerName
  /** Absent from old servers. */
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
  /** Canonical JSON of the body; absent: there is no body. */
  content?: string | undefined
}

/** The canonical JSON that is signed. */
export function requestText({ method, uri, origin, destination, content }: SignedRequest): string {
  const body = content === undefined ? '' : `"content":${content},`
  const quoted = [destination, method, origin, uri].map((text) => JSON.stringify(text))
  return `{${body}"destination":${quoted[0]},"method":${quoted[1]},"origin":${quoted[2]},"uri":${quoted[3]}}`
}

/** The value of the Authorization header, in the form that old servers understand too. */
export function formatXMatrix(credentials: XMatrixCredentials & { destination: string }): string {
  const { origin, destination, keyId, signature } = credentials
  return `X-Matrix origin="${origin}",destination="${destination}",key="${keyId}",sig="${signature}"`
}

/**
 * Reads the value of an Authorization header; `undefined` if it is no valid X-Matrix. Lenient as the specification asks: names in any case and
 * order, blanks around commas, values with or without quotes, colons and Base64 in values without quotes, unknown parameters.
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

/** name, then a quoted text or one without quotes, then a comma or the end. */
const PARAMETER = /[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^",\s]+)[ \t]*)?(?:,|$)/y
const EMPTY = /[ \t]*(?:,|$)/y

/** By name in lower case; `undefined` where the list is malformed, or has a name twice. */
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
