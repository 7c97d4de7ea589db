import { html } from '../../../core/text/html.ts'
import type { Page } from '../layout.ts'
import { ownPath, SECOND_FACTOR_PATH } from '../own-path.ts'
import { type Redirect, redirectTo } from '../page.ts'
import type { FactorVisit } from './second-factors-view.ts'

/** Shows the recovery codes that came with the first second factor; with further ones it leads on. */
export function afterAdding(visit: FactorVisit, recoveryCodes: string[] | undefined): Page | Redirect {
  if (recoveryCodes) return recoveryCodesPage(visit, recoveryCodes)
  return redirectTo(ownPath(visit.query.continue) ?? `${SECOND_FACTOR_PATH}?done=added`)
}

/** Shows recovery codes: the only time, since the database has their hashes. */
export function recoveryCodesPage({ texts, query }: FactorVisit, codes: readonly string[]): Page {
  const words = texts.secondFactor
  const body = html`<p>${words.codesHint}</p>
<ul class="codes">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>
<p>${words.codesOnce}</p>
<p><a role="button" href="${ownPath(query.continue) ?? SECOND_FACTOR_PATH}">${words.codesKept}</a></p>`
  return { title: words.codesTitle, body }
}
