import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { UpstreamProvider } from '../../../infra/sign-in/upstream-provider.ts'
import { withContinue } from '../own-path.ts'
import type { Texts } from '../texts/en.ts'

/** The parameters of the pages of one identity provider. */
export const providerParams = z.object({ providerId: z.string() })

/** Returns the provider that a path names. Throws M_NOT_FOUND. */
export function requireProvider(
  app: Pick<App, 'identityProviders'>,
  { providerId }: z.output<typeof providerParams>,
): UpstreamProvider {
  const provider = app.identityProviders.get(providerId)
  if (provider) return provider
  throw new NotFoundError('There is no identity provider with this ID')
}

/** Returns where a sign-in at a provider begins. `link`: it links an account to the signed-in user. */
export function startPath({ config }: UpstreamProvider, on: string | undefined, link = false): string {
  return withContinue(`/upstream/${config.id}/start${link ? '?link=1' : ''}`, on)
}

/** Renders a button for each identity provider; nothing if there is none. They are links: forms cannot lead elsewhere. */
export function providerButtons(app: Pick<App, 'identityProviders'>, texts: Texts, on: string | undefined): Html {
  const items = [...app.identityProviders.values()].map(
    (provider) =>
      html`<li><a href="${startPath(provider, on)}" role="button" class="outline">${texts.upstream.signInWith(provider.config.name)}</a></li>`,
  )
  return items.length === 0 ? html`` : html`<ul class="choices">${items}</ul>`
}
