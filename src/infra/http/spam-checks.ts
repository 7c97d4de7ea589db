import { z } from 'zod'
import { MatrixError } from '../../core/errors.ts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import type { Logger } from '../logger.ts'
import type { OutgoingAnswer, OutgoingHttp } from './outgoing-http.ts'

/** `url`: the service. The lists have names of checks. `timeout` in milliseconds. */
export type SpamCheckOptions<Name extends string> = {
  url: string
  token?: string | undefined
  checks: readonly Name[]
  without_waiting: readonly Name[]
  fail_open: readonly Name[]
  timeout: number
  max_concurrent: number
}

/** Checks of what users do, by a service that the configuration names. */
export type SpamChecks<Name extends string = string> = {
  /** Whether the configuration has a check. */
  has(name: Name): boolean
  /**
   * Sends a check, if the configuration has it. `describe` returns the body of the request. Throws the refusal of the
   * service. Throws M_UNKNOWN (503) if it does not answer or refuses the token, and the check does not fail open.
   */
  check(name: Name, describe: () => object | Promise<object>): Promise<void>
}

/** Further checks fail at once. */
const MOST_WAITING = 1000
const MAX_ANSWER_BYTES = 16 * 1024
const MAX_MESSAGE = 1000
/** These errors are about the token that this server sends, not about what a user does. */
const OF_TOKEN: readonly unknown[] = ['M_UNKNOWN_TOKEN', 'M_MISSING_TOKEN', 'M_UNAUTHORIZED']

const refusal = z.looseObject({ errcode: z.unknown().optional(), error: z.unknown().optional() })

/** https://github.com/maunium/synapse-http-antispam describes the protocol. */
export function createSpamChecks<Name extends string>(
  options: SpamCheckOptions<Name>,
  { http, logger, stopping }: { http: OutgoingHttp; logger: Logger; stopping: AbortSignal },
): SpamChecks<Name> {
  const { url, token, timeout, checks, without_waiting: unawaited, fail_open: failOpen } = options
  const inTurn = createConcurrencyLimit(options.max_concurrent)
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  let waiting = 0

  async function ask(name: Name, body: object): Promise<OutgoingAnswer> {
    if (waiting >= MOST_WAITING) throw new Error(`${MOST_WAITING} checks wait for the service already`)
    waiting++
    const signal = AbortSignal.any([AbortSignal.timeout(timeout), stopping])
    const answer = inTurn(async () => {
      signal.throwIfAborted()
      return http.postJson(`${url}/${name}`, body, { timeoutMs: timeout, signal, headers, maxBytes: MAX_ANSWER_BYTES })
    }).finally(() => waiting--)
    return untilAborted(answer, signal)
  }

  async function settle(name: Name, body: object): Promise<MatrixError | undefined> {
    try {
      const { status, body: said } = await ask(name, body)
      if (status >= 200 && status < 300) return undefined
      const refused = refusal.safeParse(said)
      if (status === 401 || (refused.success && OF_TOKEN.includes(refused.data.errcode))) {
        throw new Error('the service does not accept the token: correct spam_checks.token')
      }
      if (status < 500 && refused.success) return refusalOf(refused.data)
      throw new Error(`the service answered with status ${status}, without a refusal`)
    } catch (error) {
      logger.warn({ err: error, check: name }, 'spam check failed')
      if (failOpen.includes(name)) return undefined
      return new MatrixError(503, 'M_UNKNOWN', 'The spam check of this server does not answer. Try again later.')
    }
  }

  return {
    has: (name) => checks.includes(name),
    async check(name, describe) {
      if (!checks.includes(name)) return
      const settled = settle(name, await describe())
      if (unawaited.includes(name)) return
      const refused = await settled
      if (refused) throw refused
    },
  }
}

/** Rejects as soon as the signal is aborted, also while the promise waits for its turn. */
function untilAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function refusalOf({ errcode, error, ...extra }: z.output<typeof refusal>): MatrixError {
  const code = typeof errcode === 'string' && /^[A-Z][A-Z0-9_.]{0,99}$/.test(errcode) ? errcode : 'M_FORBIDDEN'
  const message = typeof error === 'string' ? error.slice(0, MAX_MESSAGE) : 'The server does not allow this'
  return new MatrixError(403, code, message, extra)
}
