import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { html } from '../../core/text/html.ts'
import {
  type Browser,
  isRecent,
  newCookie,
  recognizeBrowser,
  requireUsableAccount,
  type WebSession,
} from '../../services/sign-in/web-sessions.ts'
import { readFormBody } from '../http/body.ts'
import { type AnyEndpoint, type Call, type Endpoint, type ErrorAnswer, Reply } from '../http/route.ts'
import { cookieHeader, csrfToken, readCookie } from './cookies.ts'
import { type Page, renderPage } from './layout.ts'
import { SECOND_FACTOR_PATH, withContinue } from './own-path.ts'
import type { Texts } from './texts/en.ts'
import { LANGUAGES, type Language, languageOf } from './texts/language.ts'

export type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined

/** A browser's request for a page. `Session`: whether somebody is signed in for sure. */
export type Visit<Params = unknown, Query = unknown, Session = WebSession | undefined> = {
  params: Params
  query: Query
  /** The fields of a submitted form; empty for GET, and for uploads. */
  form: URLSearchParams
  session: Session
  /** The session of a user who may only set up the second factor that the policy requires. */
  restricted: WebSession | undefined
  /** The user who has passed the first step of a sign-in in this browser, but not the second. */
  pendingUserId: WebSession['userId'] | undefined
  browser: Browser
  texts: Texts
  language: Language
  /** Path and query of this request. */
  path: string
  raw: IncomingMessage
  signal: AbortSignal
  /** The request, for endpoints that a page calls. */
  call: Call<undefined, undefined, undefined, undefined>
}

/** An answer that leads the browser to another page. It is 303, so that the browser does not repeat a form there. */
export class Redirect {
  readonly to: string
  readonly cookie: string | undefined
  constructor(to: string, cookie?: string) {
    this.to = to
    this.cookie = cookie
  }
}

/** Leads the browser on; `cookie`: its new cookie, if it changes. */
export function redirectTo(to: string, cookie?: string): Redirect {
  return new Redirect(to, cookie)
}

type PageResult = Page | Redirect | Reply

export type PageOptions<Params extends z.ZodType | undefined, Query extends z.ZodType | undefined, Session> = Pick<
  Endpoint,
  'rateLimit'
> & {
  method: 'GET' | 'POST'
  path: string | string[]
  params?: Params
  query?: Query
  /** Whether the handler reads the body itself; the CSRF token is then `csrf` in the query. */
  upload?: boolean
  /**
   * Whether the page needs and sets no cookie: its address holds a secret, which proves the origin of its form. Mail
   * programs and the browsers inside of clients may send no cookie.
   */
  cookieless?: boolean
  handle(visit: Visit<Parsed<Params>, Parsed<Query>, Session>, app: App): Promise<PageResult> | PageResult
}

/**
 * Declares a page. Forms have a CSRF token, see form.ts; errors become pages; without a cookie the browser gets one.
 */
export function page<Params extends z.ZodType | undefined = undefined, Query extends z.ZodType | undefined = undefined>(
  options: PageOptions<Params, Query, WebSession | undefined>,
): AnyEndpoint {
  const { handle, upload = false, cookieless = false, ...declared } = options
  return {
    ...declared,
    auth: 'none',
    ...(options.method === 'POST' && { body: 'stream' as const }),
    renderError,
    async handle(call: Call<Params, Query, undefined, undefined>, app: App): Promise<Reply> {
      const known = readCookie(app, call.request.raw)
      const language = languageOf(call.request.raw)
      const { ip, userAgent } = call.request
      const browser = { cookie: known ?? newCookie(app), ip, userAgent, language }
      const form = await readForm(app, call, { known, upload, cookieless })
      const visit = {
        params: call.params as Parsed<Params>,
        query: call.query as Parsed<Query>,
        form,
        ...(await recognizeBrowser(app, browser)),
        browser,
        texts: LANGUAGES[language],
        language,
        path: call.request.raw.url ?? '/',
        raw: call.request.raw,
        signal: call.signal,
        call: { ...call, params: undefined, query: undefined },
      }
      const result = await handle(visit, app)
      return answerOf(app, visit, { result, isNew: known === undefined && !cookieless })
    },
  }
}

/** Whether a user has to be signed in, or to have signed in within the last 15 minutes. */
export type SignedInSince = 'signed in' | 'recent sign-in'

/**
 * Declares a page for users who are signed in; others are led to the sign-in, and back. `needs: 'recent
 * sign-in'`: users who signed in longer ago have to do it again. A user who lacks a second factor that the policy requires is led to its
 * set-up, except from pages `withoutSecondFactor`.
 */
export function accountPage<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
>(
  options: PageOptions<Params, Query, WebSession> & {
    needs: SignedInSince
    withoutSecondFactor?: boolean
  },
): AnyEndpoint {
  const { needs, withoutSecondFactor = false, handle, ...declared } = options
  return page<Params, Query>({
    ...(declared as Omit<typeof options, 'needs' | 'withoutSecondFactor' | 'handle'>),
    async handle(visit, app) {
      const session = visit.session ?? (withoutSecondFactor ? visit.restricted : undefined)
      if (!session && visit.restricted) return redirectTo(withContinue(SECOND_FACTOR_PATH, visit.path))
      const isEnough = session && (needs === 'signed in' || isRecent(app, session))
      if (!isEnough) return redirectTo(withContinue('/login', visit.path))
      requireUsableAccount(session)
      return handle({ ...visit, session }, app)
    },
  })
}

async function readForm(
  app: App,
  { request: { raw } }: Pick<Call<undefined, undefined, undefined, undefined>, 'request'>,
  { known, upload, cookieless }: { known: string | undefined; upload: boolean; cookieless: boolean },
): Promise<URLSearchParams> {
  if (raw.method !== 'POST') return new URLSearchParams()
  const form = upload ? new URLSearchParams() : await readFormBody(raw, app.config.limits)
  if (cookieless) return form
  const given = upload ? new URL(raw.url ?? '/', 'http://own.invalid').searchParams.get('csrf') : form.get('csrf')
  if (known === undefined) throw new MatrixError(403, 'M_NO_COOKIES', 'The browser sent no cookie')
  if (given !== csrfToken(known)) throw new MatrixError(403, 'M_STALE_FORM', 'The form is not from this browser')
  return form
}

function answerOf(
  app: App,
  { browser, language, session, restricted }: Visit,
  { result, isNew }: { result: PageResult; isNew: boolean },
): Reply {
  if (result instanceof Reply) return result
  const cookie = result.cookie ?? (isNew ? browser.cookie : undefined)
  const headers = cookie === undefined ? {} : cookieHeader(app, cookie)
  if (result instanceof Redirect)
    return new Reply(303, '', { Location: result.to, 'Cache-Control': 'no-store', ...headers })
  const { status, body, headers: own } = renderPage(app, result, { language, userId: (session ?? restricted)?.userId })
  return new Reply(status, body, { ...own, ...headers })
}

/** Renders an error as a page. */
function renderError({ status, body }: ErrorAnswer, app: App, request: IncomingMessage): Reply {
  const language = languageOf(request)
  const texts = LANGUAGES[language]
  const content = html`<p role="alert">${errorText(texts, body)}</p>
<p><a href="/account">${texts.layout.toAccount}</a></p>`
  return renderPage(app, { title: texts.layout.errorTitle, body: content, status }, { language })
}

/** Returns the text for an error in the language of a page. */
export function errorText(texts: Texts, { errcode, error }: Record<string, unknown>): string {
  return texts.errors[String(errcode)] ?? `${String(error).replace(/\.$/, '')}.`
}
