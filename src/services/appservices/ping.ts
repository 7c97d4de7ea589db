import type { App } from '../../app.ts'
import type { Appservice } from '../../core/appservice.ts'
import { MatrixError } from '../../core/errors.ts'
import { AppserviceSilence } from '../../infra/http/appservice-client.ts'

const TIMEOUT_MS = 20_000
/** Maximum length of a failed response in the error. */
const MAX_SHOWN = 2000

/**
 * Pings an application service, and returns the duration in milliseconds. Throws M_URL_NOT_SET, M_BAD_STATUS,
 * M_CONNECTION_FAILED, M_CONNECTION_TIMEOUT.
 * https://spec.matrix.org/v1.19/application-service-api/#pinging
 */
export async function pingAppservice(
  app: Pick<App, 'appservices' | 'clock'>,
  appservice: Appservice,
  transactionId: string | undefined,
): Promise<number> {
  if (appservice.url === null) throw new MatrixError(400, 'M_URL_NOT_SET', 'The application service has no URL')
  const started = app.clock.now()
  const body = JSON.stringify({ transaction_id: transactionId })
  try {
    const request = { method: 'POST', path: '/ping', body, timeoutMs: TIMEOUT_MS } as const
    const { status, text } = await app.appservices.request(appservice, request)
    if (status >= 200 && status < 300) return Math.round(app.clock.now() - started)
    const shown = { status, body: text.slice(0, MAX_SHOWN) }
    throw new MatrixError(502, 'M_BAD_STATUS', `The application service responded with ${status}`, shown)
  } catch (error) {
    if (!(error instanceof AppserviceSilence)) throw error
    if (error.isTimeout) throw new MatrixError(504, 'M_CONNECTION_TIMEOUT', 'The application service took too long')
    throw new MatrixError(502, 'M_CONNECTION_FAILED', 'The application service cannot be reached')
  }
}
