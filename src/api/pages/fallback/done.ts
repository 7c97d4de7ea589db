import { html } from '../../../core/text/html.ts'
import type { Page } from '../layout.ts'
import type { Visit } from '../page.ts'

/**
 * The page for a completed authentication stage. It tells the window of the client that opened it.
 * https://spec.matrix.org/v1.19/client-server-api/#fallback
 */
export function stageDonePage({ texts: { fallback } }: Pick<Visit, 'texts'>): Page {
  return {
    title: fallback.doneTitle,
    body: html`<p>${fallback.done}</p>`,
    // The script is the specification's, verbatim.
    script: `if (window.onAuthDone) {
  window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
  window.opener.postMessage("authDone", "*");
}`,
  }
}
