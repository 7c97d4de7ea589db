import type { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { SignedInClient } from '../../../services/oauth/signed-in-clients.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import type { AnyEndpoint, RateLimit } from '../../http/route.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { accountPage, errorText, type Parsed, type Redirect, type SignedInSince, type Visit } from '../page.ts'

/** A visit of a page of the account. */
export type AccountVisit<Params = unknown, Query = unknown> = Visit<Params, Query, WebSession>

/** The error of a form that was refused. */
export type Problem = { alert?: string | undefined; status?: number; filled?: URLSearchParams }

/** A page below the start page of the account, to which it leads back. */
export function accountSubpage({ texts }: Pick<Visit, 'texts'>, page: Page): Page {
  return { back: { path: '/account', label: texts.layout.account }, ...page }
}

/** Returns the message that the query of a page asks for, by its name. */
export function messageOf(name: string | undefined, messages: Readonly<Record<string, string>>): string | undefined {
  return name !== undefined && Object.hasOwn(messages, name) ? messages[name] : undefined
}

/**
 * Declares a page and its form as two endpoints. A form that is refused shows the page again, with the problem.
 * `rateLimit`: that of the form. `formNeeds`: default `needs`.
 */
export function accountForm<Query extends z.ZodType>({
  show,
  submit,
  rateLimit,
  needs,
  formNeeds = needs,
  ...declared
}: {
  path: string
  query: Query
  needs: SignedInSince
  formNeeds?: SignedInSince
  withoutSecondFactor?: boolean
  rateLimit?: RateLimit
  show: (app: App, visit: AccountVisit<undefined, Parsed<Query>>, problem?: Problem) => Promise<Page | Redirect> | Page
  submit: (app: App, visit: AccountVisit<undefined, Parsed<Query>>) => Promise<Redirect | Page>
}): [get: AnyEndpoint, post: AnyEndpoint] {
  const get = accountPage<undefined, Query>({
    ...declared,
    method: 'GET',
    needs,
    handle: (visit, app) => show(app, visit),
  })
  const post = accountPage<undefined, Query>({
    ...declared,
    ...(rateLimit && { rateLimit }),
    method: 'POST',
    needs: formNeeds,
    async handle(visit, app) {
      try {
        return await submit(app, visit)
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        const problem = { alert: errorText(visit.texts, error.toJSON()), status: error.status, filled: visit.form }
        return show(app, visit, problem)
      }
    },
  })
  return [get, post]
}

/** Returns when and from where something was last used. */
export function seenText(
  visit: Pick<AccountVisit, 'language' | 'texts'>,
  { at, address }: { at: number; address: string | null },
): string {
  return visit.texts.devices.seen(momentText(visit, at), address ?? '')
}

/** Returns the name of a client with the host that proves who provides it. */
export function clientText({ texts }: Pick<AccountVisit, 'texts'>, { name, host }: SignedInClient): string {
  return name === host ? host : texts.devices.clientAt(name, host)
}
