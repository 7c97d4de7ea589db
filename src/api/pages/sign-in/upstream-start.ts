import { z } from 'zod'
import { UpstreamError } from '../../../infra/sign-in/upstream-provider.ts'
import { noteFault, startUpstream } from '../../../services/sign-in/upstream-sign-in.ts'
import { isRecent } from '../../../services/sign-in/web-sessions.ts'
import { ownPath, withContinue } from '../own-path.ts'
import { page, redirectTo } from '../page.ts'
import { providerParams, requireProvider } from './provider-list.ts'
import { upstreamProblem } from './upstream-problem.ts'

/** Leads to an identity provider, at which a signed-in user signs in again. With `link` they link an account there. */
export const getUpstreamStart = page({
  method: 'GET',
  path: '/upstream/:providerId/start',
  rateLimit: 'login',
  params: providerParams,
  query: z.object({ continue: z.string().optional(), link: z.string().optional() }),
  async handle(visit, app) {
    const provider = requireProvider(app, visit.params)
    const { session, browser, query, path } = visit
    const on = ownPath(query.continue)
    const links = query.link !== undefined
    if (links && !(session && isRecent(app, session))) return redirectTo(withContinue('/login', path))
    try {
      const linkTo = links ? session?.userId : undefined
      return redirectTo(
        await startUpstream(app, browser, { provider, on, linkTo, isAgain: session !== undefined && !links }),
      )
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      noteFault(app, provider, error)
      return upstreamProblem(visit, { provider, reason: error.fault, on })
    }
  },
})
