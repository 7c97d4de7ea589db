import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { Page } from '../layout.ts'
import { ownPath } from '../own-path.ts'
import type { Texts } from '../texts/en.ts'
import { providerButtons, startPath } from './provider-list.ts'

type Wanted = { texts: Texts; query: { continue?: string | undefined; choose?: string | undefined } }

/** Where the page does not show the form for a password. */
const HIDDEN: readonly App['config']['sign_in']['passwords'][] = ['hidden', 'disabled']

/** Leads to the only provider, if the configuration hides passwords. */
export function leadToProvider({ config, identityProviders }: App, { texts, query }: Wanted): Page | undefined {
  const [provider, ...others] = identityProviders.values()
  if (!provider || others.length > 0 || !HIDDEN.includes(config.sign_in.passwords) || query.choose !== undefined) return
  const { name } = provider.config
  const path = startPath(provider, ownPath(query.continue))
  const body = html`<p><a href="${path}" role="button">${texts.upstream.signInWith(name)}</a></p>`
  return { title: texts.upstream.leading(name), body, leadsTo: path }
}

/** Renders the providers at which a new user gets an account. */
export function registrationProviders(app: App, texts: Texts, on: string | undefined): Html {
  const open = new Map([...app.identityProviders].filter(([, { config }]) => config.may_register))
  if (open.size === 0) return html``
  return html`<p class="or">${texts.upstream.or}</p>${providerButtons({ identityProviders: open }, texts, on)}`
}

/** Arranges the password's form and the providers as the configuration says. */
export function waysToSignIn(
  app: App,
  { texts, query }: Wanted,
  { passwordForm, isOpen }: { passwordForm: Html; isOpen: boolean },
): Html {
  const { passwords } = app.config.sign_in
  if (app.identityProviders.size === 0) return passwordForm
  const providers = providerButtons(app, texts, ownPath(query.continue))
  const or = html`<p class="or">${texts.upstream.or}</p>`
  if (passwords === 'first') return html`${passwordForm}${or}${providers}`
  if (passwords === 'last') return html`${providers}${or}${passwordForm}`
  if (passwords === 'disabled') return providers
  const open = isOpen || query.choose !== undefined ? html` open` : ''
  return html`${providers}<details${open}><summary>${texts.upstream.withPassword}</summary>${passwordForm}</details>`
}
