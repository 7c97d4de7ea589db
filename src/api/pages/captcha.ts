import type { App } from '../../app.ts'
import { html } from '../../core/text/html.ts'
import { captchaWidget } from '../../services/users/captcha.ts'
import type { Form } from './form.ts'
import type { Texts } from './texts/en.ts'

/**
 * Returns the part of a form that shows the configured captcha, and the origins that the page has to admit; without a
 * captcha nothing.
 */
export function captchaFields(
  config: App['config'],
  { captcha }: Texts,
): { fields: Form['fields']; foreign: readonly string[] } {
  const widget = captchaWidget(config)
  if (!widget) return { fields: html``, foreign: [] }
  return {
    fields: html`<p>${captcha.hint}</p>
<div class="${widget.className}" data-sitekey="${widget.siteKey}"></div>
<p><small>${captcha.absent}</small></p>
<noscript><p role="alert">${captcha.needsScript}</p></noscript>
<script src="${widget.scriptUrl}" async defer></script>`,
    foreign: widget.origins,
  }
}

/** Returns the solution that the captcha's script has put into a form. */
export function captchaSolution(config: App['config'], form: URLSearchParams): string {
  return form.get(captchaWidget(config)?.field ?? '') ?? ''
}
