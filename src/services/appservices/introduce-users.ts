import type { App } from '../../app.ts'
import { type Appservice, hasUser } from '../../core/appservice.ts'
import type { UserId } from '../../core/ids.ts'
import { filterUnknownUsers } from '../../storage/users/users.ts'

const TIMEOUT_MS = 20_000

type SentBody = { events: { type: string; state_key?: string }[] }

/**
 * Queries an application service for users in its namespaces whom a transaction concerns, for instance by an invite,
 * and who do not exist: it may register them. The transaction is sent whatever it answers.
 * https://spec.matrix.org/v1.19/application-service-api/#get_matrixappv1usersuserid
 */
export async function introduceUsers(
  app: Pick<App, 'database' | 'appservices' | 'logger' | 'stopping'>,
  appservice: Appservice,
  body: string,
): Promise<void> {
  const { events } = JSON.parse(body) as SentBody
  const members = events.flatMap(({ type, state_key }) => (type === 'm.room.member' && state_key ? [state_key] : []))
  const own = [...new Set(members)].filter((userId) => hasUser(appservice, userId)) as UserId[]
  for (const userId of await filterUnknownUsers(app.database, own)) {
    const path = `/users/${encodeURIComponent(userId)}`
    const request = { method: 'GET', path, legacyPath: path, timeoutMs: TIMEOUT_MS, signal: app.stopping } as const
    await app.appservices.request(appservice, request).catch((error: unknown) => {
      app.logger.info({ err: error, appservice: appservice.id }, 'appservice request for user failed')
    })
  }
}
