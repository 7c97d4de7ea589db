import { html } from '../../../core/text/html.ts'
import type { UpstreamProvider } from '../../../infra/sign-in/upstream-provider.ts'
import type { UpstreamReason } from '../../../services/sign-in/upstream-sign-in.ts'
import type { Page } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import type { Visit } from '../page.ts'
import { startPath } from './provider-list.ts'

const STATUS: Readonly<Record<UpstreamReason, number>> = {
  unreachable: 502,
  denied: 403,
  refused: 502,
  invalid: 502,
  clock: 502,
  misconfigured: 502,
  expired: 400,
  'other browser': 403,
  used: 400,
  'linked elsewhere': 403,
  'other user': 403,
}

/** The page for a sign-in at a provider that failed; its links keep what the sign-in was for. */
export function upstreamProblem(
  { texts }: Pick<Visit, 'texts'>,
  { provider, reason, on }: { provider: UpstreamProvider; reason: UpstreamReason; on: string | undefined },
): Page {
  const { name } = provider.config
  const { problems, problemTitle, tryAgain, otherWays } = texts.upstream
  const body = html`<p role="alert">${problems[reason](name)}</p>
<p><a href="${startPath(provider, on)}" role="button">${tryAgain(name)}</a></p>
<p><a href="${withContinue('/login?choose=1', on)}">${otherWays}</a></p>`
  return { title: problemTitle(name), body, status: STATUS[reason] }
}
