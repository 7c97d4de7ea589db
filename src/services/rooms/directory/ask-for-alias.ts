import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../../app.ts'
import { type Appservice, isInNamespace } from '../../../core/appservice.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomAlias } from '../../../core/ids.ts'
import { AppserviceSilence } from '../../../infra/http/appservice-client.ts'

export type AliasAskingApp = Pick<App, 'config' | 'appservices' | 'logger'>

const TIMEOUT_MS = 20_000
/** An application service that is just starting is up after these. */
const RETRY_AFTER_MS = [200, 800]

/**
 * Asks the application services whose namespace matches an alias for its room: they may create it before they answer.
 * Returns whether one confirms the alias. Throws 408 if one that should know does not answer.
 * https://spec.matrix.org/v1.19/application-service-api/#get_matrixappv1roomsroomalias
 */
export async function askForAlias(app: AliasAskingApp, alias: RoomAlias): Promise<boolean> {
  let isSilent = false
  for (const appservice of app.config.appservices) {
    if (appservice.url === null || !isInNamespace(appservice, 'aliases', alias)) continue
    const exists = await ask(app, appservice, alias)
    if (exists) return true
    if (exists === undefined) isSilent = true
  }
  if (isSilent) throw new MatrixError(408, 'M_UNKNOWN', 'The application service for this alias does not respond')
  return false
}

/** Returns undefined without an answer. */
async function ask(app: AliasAskingApp, appservice: Appservice, alias: RoomAlias): Promise<boolean | undefined> {
  const path = `/rooms/${encodeURIComponent(alias)}`
  for (let attempt = 0; ; attempt++) {
    try {
      const request = { method: 'GET', path, legacyPath: path, timeoutMs: TIMEOUT_MS } as const
      const { status } = await app.appservices.request(appservice, request)
      return status >= 200 && status < 300
    } catch (error) {
      if (!(error instanceof AppserviceSilence)) throw error
      const wait = error.isTimeout ? undefined : RETRY_AFTER_MS[attempt]
      if (wait === undefined) {
        app.logger.info({ err: error, appservice: appservice.id }, 'appservice request for alias failed')
        return undefined
      }
      await pause(wait)
    }
  }
}
