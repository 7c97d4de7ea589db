import { type DestinationStream, type LoggerOptions, pino, stdSerializers } from 'pino'
import type { Config } from '../config.ts'
import { prettyLine } from './pretty-log.ts'

/** pino's: `logger.info({ room_id }, 'message')`, and `logger.child({ request_id })` for a request's own. An error goes under the key `err`, a URL under `url`. */
export type Logger = import('pino').Logger

const SECRET_KEYS = new Set([
  'access_token',
  'refresh_token',
  'login_token',
  'password',
  'new_password',
  'shared_secret',
  'token',
  'as_token',
  'hs_token',
  'mac',
  'client_secret',
  'authorization',
  'cookie',
])
const DEPTH = 3
const HIDDEN = '[hidden]'
const QUERY_SECRET = /([?&](?:access_token|loginToken|login_token|token|client_secret|code|mac|session)=)[^&#\s]*/gi
/** Links in mails end with a secret, and those who know the id of a rendezvous or a delayed event may change it. */
const PATH_SECRET = /(\/(?:(?:confirm_email|unsubscribe)\/[^/?#\s]+|rendezvous|delayed_events)\/)[^/?#\s]+/g

/** Writes to standard output, or to `destination`. Values under keys that hold secrets are hidden, up to three levels deep, and so are those in a `url`'s query. */
export function createLogger(log: Config['log'], destination: DestinationStream = process.stdout): Logger {
  const options: LoggerOptions = {
    level: log.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }), log: (fields) => hideSecrets(fields, DEPTH) },
    serializers: { err: errorSerializer, url: hideQuerySecrets },
  }
  return pino(
    options,
    logFormat(log) === 'json' ? destination : { write: (line) => destination.write(prettyLine(line)) },
  )
}

/** As configured; otherwise for people in a terminal, and for machines elsewhere. */
export function logFormat(log: Config['log']): 'pretty' | 'json' {
  return log.format ?? (process.stdout.isTTY ? 'pretty' : 'json')
}

/** pino's own redaction does this at fifteen times the cost of writing the line. */
function hideSecrets(fields: Record<string, unknown>, depth: number): Record<string, unknown> {
  let shown = fields
  for (const [key, value] of Object.entries(fields)) {
    const safe = SECRET_KEYS.has(key)
      ? HIDDEN
      : depth > 1 && isPlainObject(value)
        ? hideSecrets(value, depth - 1)
        : value
    if (safe === value) continue
    if (shown === fields) shown = { ...fields }
    shown[key] = safe
  }
  return shown
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A URL or path as it may be logged: without the values of access tokens and the like in its query, and without secrets in its path. */
function hideQuerySecrets(url: unknown): string {
  return String(url).replace(QUERY_SECRET, `$1${HIDDEN}`).replace(PATH_SECRET, `$1${HIDDEN}`)
}

/** Messages of failed requests may quote their URL. */
function errorSerializer(error: Error): unknown {
  const serialized = stdSerializers.err(error)
  return {
    ...serialized,
    message: hideQuerySecrets(serialized.message),
    stack: hideQuerySecrets(serialized.stack),
  }
}
