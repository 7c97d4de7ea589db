import { createHash } from 'node:crypto'
import type { App } from '../../app.ts'
import { Html, html } from '../../core/text/html.ts'
import { Reply } from '../http/route.ts'
import { CHARTS, LOGO_PATH, STYLESHEETS } from './assets.ts'
import { LANGUAGES, type Language } from './texts/language.ts'

/** The content of a page, before it gets the layout. */
export type Page = {
  title: string
  body: Html
  status?: number
  /** The page above this one. */
  back?: { path: string; label: string }
  /** Runs in the page. Pages have to work without it as well. */
  script?: string | undefined
  /** Whether the page has charts, which a script of this server draws (charts.js). */
  hasCharts?: boolean
  /** Whether the script sends requests to this server. */
  connects?: boolean
  /** Links to the pages beside this one. */
  navigation?: Html
  /** Other origins or schemes to which a form of the page may lead in the end: the redirect URI of a client. */
  formTargets?: readonly string[]
  /** Origins of which the page runs scripts, and shows frames, such as those of a captcha. */
  foreign?: readonly string[]
  /**
   * Where the browser goes at once. Unlike a redirect, this may also end a form of a page whose policy does not know the
   * target. The page needs a link to it for browsers that do not follow.
   */
  leadsTo?: string
  /** The new cookie of the browser, if it changes. */
  cookie?: string | undefined
}

/** Keeps browsers from requesting /favicon.ico. */
const NO_ICON = 'data:,'

const NONCE_LENGTH = 22

/** For whom a page is rendered. */
export type Reader = { language: Language; userId?: string | undefined }

/** Returns the name of this service: `branding.name`, or the server name. */
export function serviceName({ config, serverName }: Pick<App, 'config' | 'serverName'>): string {
  return config.branding.name ?? serverName
}

/**
 * Renders a page with the header and footer of all pages. The headers forbid framing, the Referer, and whatever the
 * page does not need.
 */
export function renderPage(
  app: Pick<App, 'config' | 'serverName' | 'random'>,
  page: Page,
  { language, userId }: Reader,
): Reply {
  const texts = LANGUAGES[language].layout
  const { title, body, back, navigation, status = 200 } = page
  const name = serviceName(app)
  const nonce = page.hasCharts ? app.random.token(NONCE_LENGTH) : undefined
  const document = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – ${name}</title>
<link rel="icon" href="${app.config.branding.logo === undefined ? NO_ICON : LOGO_PATH}">
${stylesheets(page).map(({ path }) => html`<link rel="stylesheet" href="${path}">\n`)}</head>
<body${navigation ? html` class="with-navigation"` : ''}>
<a class="skip" href="#content">${texts.skip}</a>
<header>${brand(app, name)}${userId === undefined ? '' : html`<a href="/account">${userId}</a>`}</header>
${navigation ?? ''}<main id="content">
${back === undefined ? '' : html`<p class="back"><a href="${back.path}">${back.label}</a></p>\n`}<h1>${title}</h1>
${body}
</main>
${footer(app, texts.otherLinks)}
${scriptTags(page, nonce)}</body>
</html>
`
  return new Reply(status, document.text, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Language': language,
    'Content-Security-Policy': policyOf(page, nonce),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    // Captchas check on which site they are.
    'Referrer-Policy': page.foreign && page.foreign.length > 0 ? 'strict-origin' : 'no-referrer',
    'Cache-Control': 'no-store',
    ...(page.leadsTo !== undefined && { Refresh: `0; url=${page.leadsTo}` }),
  })
}

function brand({ config }: Pick<App, 'config'>, name: string): Html {
  const logo = config.branding.logo === undefined ? '' : html`<img src="${LOGO_PATH}" alt="">`
  return html`<a class="brand" href="/account">${logo}<span>${name}</span></a>`
}

function footer({ config }: Pick<App, 'config'>, label: string): Html {
  const { links } = config.branding
  if (links.length === 0) return html``
  const items = links.map(({ name, url }) => html`<li><a href="${url}">${name}</a></li>`)
  return html`<footer><nav aria-label="${label}"><ul>${items}</ul></nav></footer>`
}

function stylesheets({ hasCharts = false }: Page) {
  return hasCharts ? [...STYLESHEETS, CHARTS.stylesheet] : STYLESHEETS
}

function scriptTags({ script }: Page, nonce: string | undefined): Html {
  const own = script === undefined ? html`` : html`<script>${new Html(script)}</script>\n`
  if (nonce === undefined) return own
  return html`${CHARTS.scripts.map(({ path }) => html`<script nonce="${nonce}" src="${path}"></script>\n`)}${own}`
}

/** Files are allowed by a nonce: `'self'` would also allow files that users upload. */
function policyOf(
  { script, connects = false, formTargets = [], foreign = [] }: Page,
  nonce: string | undefined,
): string {
  const scripts = [
    ...(script === undefined ? [] : [hashOf(script)]),
    ...(nonce === undefined ? [] : [`'nonce-${nonce}'`]),
    ...foreign,
  ]
  return [
    "default-src 'none'",
    ["style-src 'self'", ...foreign].join(' '),
    ["img-src 'self' data:", ...foreign].join(' '),
    ...(scripts.length > 0 ? [`script-src ${scripts.join(' ')}`] : []),
    ...(connects || foreign.length > 0 ? [["connect-src 'self'", ...foreign].join(' ')] : []),
    ...(foreign.length > 0 ? [`frame-src ${foreign.join(' ')}`] : []),
    ["form-action 'self'", ...formTargets].join(' '),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
