import type { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import { isRecent, type WebSession } from '../../../services/sign-in/web-sessions.ts'
import type { AnyEndpoint, Reply } from '../../http/route.ts'
import type { Page } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import {
  accountPage,
  type PageOptions,
  type Parsed,
  type Redirect,
  redirectTo,
  type SignedInSince,
  type Visit,
} from '../page.ts'
import { type AdminSection, adminNavigation } from './navigation.ts'

/** A visit of a page for administrators, by one. */
export type AdminVisit<Params = unknown, Query = unknown> = Visit<Params, Query, WebSession>

type AdminPageOptions<Params extends z.ZodType | undefined, Query extends z.ZodType | undefined> = Omit<
  PageOptions<Params, Query, WebSession>,
  'handle' | 'upload' | 'cookieless'
> & {
  /** The section of the navigation to which the page belongs. */
  section: AdminSection
  /** Default: signed in. */
  needs?: SignedInSince
  handle(
    visit: AdminVisit<Parsed<Params>, Parsed<Query>>,
    app: App,
  ): Promise<Page | Redirect | Reply> | Page | Redirect | Reply
}

/**
 * Declares a page for administrators, with their navigation. Other users get an error page with 403. Suspended
 * administrators may only read, as with the API.
 */
export function adminPage<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
>(options: AdminPageOptions<Params, Query>): AnyEndpoint {
  const { section, needs = 'signed in', handle, ...declared } = options
  return accountPage<Params, Query>({
    ...(declared as Omit<typeof options, 'section' | 'needs' | 'handle'>),
    needs: 'signed in',
    async handle(visit, app) {
      const { session } = visit
      if (!session.isAdmin) return refusal(visit)
      if (needs === 'recent sign-in' && !isRecent(app, session)) return redirectTo(withContinue('/login', visit.path))
      if (options.method === 'POST' && session.isSuspended)
        throw new MatrixError(403, 'M_USER_SUSPENDED', 'Your account is suspended')
      const result = await handle(visit, app)
      return isPage(result) ? { ...result, navigation: adminNavigation(visit, section) } : result
    },
  })
}

/** Whether the result of a handler is a page, not an answer of another kind. */
export function isPage(result: unknown): result is Page {
  return typeof result === 'object' && result !== null && 'title' in result && 'body' in result
}

function refusal({ texts, session }: AdminVisit): Page {
  const { title, notAdmin } = texts.admin.refusal
  const body = html`<p role="alert" class="text">${notAdmin(session.userId)}</p>
<p><a href="/account">${texts.layout.toAccount}</a></p>`
  return { title, body, status: 403 }
}
