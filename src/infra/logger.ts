import cluster from 'node:cluster'
import { type DestinationStream, type LoggerOptions, pino, stdSerializers } from 'pino'
import type { Config } from '../config.ts'
import { prettyLine } from './pretty-log.ts'

/**
 * pino's logger: `logger.info({ room_id }, 'message')`, and `logger.child({ request_id })` for one request. Errors have
 * the key `err`, URLs the key `url`.
 */
export type Logger = import('pino').Logger

/** Names of secrets in fields, queries, forms and JSON. */
const SECRET =
  '(?:access|refresh|login|as|hs)?[_-]?token|(?:new[_-]?)?password|(?:shared|client)[_-]?secret|mac|(?:user|device)_code|code_verifier'
/**
 * Names of fields and headers that contain secrets. Clients without access to headers send tokens as WebSocket
 * subprotocol.
 */
const SECRET_KEY = new RegExp(`^(?:${SECRET}|(?:proxy-)?authorization|(?:set-)?cookie|sec-websocket-protocol)$`, 'i')
const DEPTH = 3
const HIDDEN = '[hidden]'
/** Secret parameters of queries and forms. */
const QUERY_SECRET = new RegExp(`((?:^|[?&])(?:${SECRET}|code|session|state|ticket|csrf)=)[^&\\s]*`, 'gi')
const JSON_SECRET = new RegExp(`("(?:${SECRET}|authorization)" ?: ?")(?:[^"\\\\]|\\\\.)*`, 'gi')
const BEARER = /(\bBearer )[^\s,;"']+/gi
/** Links in mails end with a secret, and the id of a rendezvous session or delayed event allows changing it. */
const PATH_SECRET =
  /(\/(?:(?:confirm_email|unsubscribe|password\/reset)\/[^/?#\s]+|account\/renew|rendezvous|delayed_events)\/)[^/?#\s]+/g

/**
 * Writes to standard output, or to `destination`. Hides the values of secret keys, up to three levels deep, and secrets
 * in texts: URLs, forms, JSON and headers. A process of several under one supervisor adds its `pid`.
 */
export function createLogger(log: Config['log'], destination: DestinationStream = process.stdout): Logger {
  const options: LoggerOptions = {
    level: log.level,
    base: cluster.isWorker ? { pid: process.pid } : null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }), log: (fields) => hideSecrets(fields, DEPTH) },
    serializers: { err: errorSerializer },
  }
  return pino(
    options,
    logFormat(log) === 'json' ? destination : { write: (line) => destination.write(prettyLine(line)) },
  )
}

/** Returns the configured format; by default pretty in a terminal, otherwise JSON. */
export function logFormat(log: Config['log']): 'pretty' | 'json' {
  return log.format ?? (process.stdout.isTTY ? 'pretty' : 'json')
}

/** pino's own redaction costs fifteen times as much as writing the line. */
function hideSecrets(fields: Record<string, unknown>, depth: number): Record<string, unknown> {
  let shown = fields
  for (const [key, value] of Object.entries(fields)) {
    const safe = SECRET_KEY.test(key) ? HIDDEN : hideInside(value, depth)
    if (safe === value) continue
    if (shown === fields) shown = { ...fields }
    shown[key] = safe
  }
  return shown
}

function hideInside(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return hideInText(value)
  if (depth <= 1) return value
  if (Array.isArray(value)) return value.map((each) => hideInside(each, depth - 1))
  return isPlainObject(value) ? hideSecrets(value, depth - 1) : value
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Returns a URL, path or other text for the log, without access tokens and other secrets. */
function hideInText(text: string): string {
  return decodeUnreserved(text)
    .replace(QUERY_SECRET, `$1${HIDDEN}`)
    .replace(PATH_SECRET, `$1${HIDDEN}`)
    .replace(JSON_SECRET, `$1${HIDDEN}`)
    .replace(BEARER, `$1${HIDDEN}`)
}

/**
 * Decodes unreserved characters, so that `access%5Ftoken` has one form:
 * https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2
 */
function decodeUnreserved(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%[2-7][0-9a-f]/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : encoded
  })
}

/** Messages of failed requests may contain their URL. */
function errorSerializer(error: Error): unknown {
  const serialized = stdSerializers.err(error)
  return { ...hideSecrets({ ...serialized }, DEPTH), type: serialized.type }
}
