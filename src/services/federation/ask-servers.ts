import type { App } from '../../app.ts'
import type { ServerName } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation-error.ts'

/** Servers that could not be asked, by name, as requests for keys tell them: https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery */
export type Failures = Record<string, { errcode: string; error: string }>

/** Asks servers at the same time, so that those that are down hold nobody up for longer than one of them. */
export async function askServers<Answer>(
  app: Pick<App, 'logger'>,
  servers: Iterable<ServerName>,
  ask: (server: ServerName) => Promise<Answer>,
): Promise<{ answers: Answer[]; failures: Failures }> {
  const failures: Failures = {}
  const answers = await Promise.all(
    [...servers].map(async (server) => {
      try {
        return [await ask(server)]
      } catch (error) {
        if (!(error instanceof FederationError)) throw error
        app.logger.debug({ err: error, server }, 'a server was asked in vain')
        failures[server] = { errcode: error.errcode, error: error.message }
        return []
      }
    }),
  )
  return { answers: answers.flat(), failures }
}
