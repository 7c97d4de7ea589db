import { createHash } from 'node:crypto'
import { MatrixError } from '../../core/errors.ts'
import { Html, html } from '../../core/text/html.ts'
import { Reply } from './route.ts'

/** An HTML page. `script` runs in it, and may send requests to this server if it `connects`. */
export type FallbackPage = { title: string; body: Html; script?: string; connects?: boolean; status?: number }

const STYLE = `:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif }
body { max-width: 34rem; margin: 10vh auto; padding: 0 1rem }
input, button { font: inherit; padding: .5rem .8rem; margin: .2rem 0 }
input[type=text], input[type=password] { width: 100%; box-sizing: border-box }
[role=alert] { border-left: .3rem solid #c0392b; padding-left: .7rem }`

/** Renders a page as a response. The headers forbid external resources and scripts, framing and the Referer. */
function htmlPage({ title, body, script, connects = false, status = 200 }: FallbackPage): Reply {
  const policy = [
    "default-src 'none'",
    `style-src ${hashOf(STYLE)}`,
    ...(script === undefined ? [] : [`script-src ${hashOf(script)}`]),
    ...(connects ? ["connect-src 'self'"] : []),
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>${new Html(STYLE)}</style></head><body><main>
<h1>${title}</h1>
${body}
</main>${script === undefined ? '' : html`<script>${new Html(script)}</script>`}</body></html>
`
  return new Reply(status, page.text, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy.join('; '),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  })
}

/** Renders a page, or the error as a page. */
export async function asPage(make: () => Promise<FallbackPage>): Promise<Reply> {
  try {
    return htmlPage(await make())
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    const body = html`<p role="alert">${error.message}.</p>`
    return htmlPage({ title: 'This did not work', body, status: error.status })
  }
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
