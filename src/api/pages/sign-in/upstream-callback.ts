import { answerUpstream } from '../../../services/sign-in/upstream-sign-in.ts'
import { page, redirectTo } from '../page.ts'
import { afterStep } from './after-step.ts'
import { providerParams, requireProvider } from './provider-list.ts'
import { upstreamProblem } from './upstream-problem.ts'

/** Where an identity provider sends the browser back to. */
export const getUpstreamCallback = page({
  method: 'GET',
  path: '/upstream/:providerId/callback',
  params: providerParams,
  async handle(visit, app) {
    const provider = requireProvider(app, visit.params)
    const answer = new URL(visit.path, 'https://own.invalid').searchParams
    const userId = visit.session?.userId
    const result = await answerUpstream(app, visit.browser, { provider, answer, userId })
    if (result.kind === 'signed in') return afterStep(result.step, result.on)
    if (result.kind === 'linked') return redirectTo(result.on ?? '/account/providers')
    if (result.kind === 'ask') return redirectTo(`/upstream/${provider.config.id}/account?state=${result.state}`)
    // A page that is loaded again after it has signed somebody in.
    if (result.reason === 'used' && userId !== undefined) return redirectTo(result.on ?? '/account')
    return upstreamProblem(visit, { provider, reason: result.reason, on: result.on })
  },
})
