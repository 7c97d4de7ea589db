import { expect } from 'vitest'

/** A page that a visitor got. */
export type VisitedPage = {
  status: number
  /** Where it was got from, after redirects within the server. */
  url: URL
  headers: Headers
  text: string
  /** The heading, without markup. */
  title: string
  /** The text of the alert, if there is one. */
  alert: string | undefined
  forms: VisitedForm[]
}

/** `fields`: what a browser would send. `names`: all that it can send, with unchecked boxes. */
type VisitedForm = { action: string; fields: Record<string, string>; names: Set<string>; isUpload: boolean }

/** A browser without JavaScript: keeps cookies, follows redirects, and submits forms. */
export type Visitor = {
  /** The cookies, by name. */
  cookies: Map<string, string>
  /** Opens a page. Redirects to other origins are not followed: the answer is then the redirect. */
  open(path: string, init?: RequestInit): Promise<VisitedPage>
  /** Submits the page's only form, or the one with these fields or this value of `do`. */
  submit(page: VisitedPage, fields?: Filled, options?: { do?: string }): Promise<VisitedPage>
}

/** Values of fields, and files. */
type Filled = Record<string, string | File>

const REDIRECTS = [302, 303, 307, 308]
const MOST_REDIRECTS = 10

/** Starts a browser session. `options.language`: what it prefers; `options.from`: the address that a proxy reports. */
export function newVisitor(base: string, options: { language?: string; from?: string } = {}): Visitor {
  const cookies = new Map<string, string>()
  const { origin } = new URL(base)

  async function request(url: URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    if (cookies.size > 0) headers.set('Cookie', [...cookies].map((pair) => pair.join('=')).join('; '))
    if (options.language !== undefined) headers.set('Accept-Language', options.language)
    if (options.from !== undefined) headers.set('X-Forwarded-For', options.from)
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) keep(cookies, line)
    return answer
  }

  async function follow(first: URL, init: RequestInit): Promise<VisitedPage> {
    let url = first
    let answer = await request(url, init)
    for (let count = 0; REDIRECTS.includes(answer.status) && count < MOST_REDIRECTS; count++) {
      expect(answer.status, 'a form must not be sent again').toBe(303)
      const next = new URL(answer.headers.get('location')!, url)
      if (next.origin !== origin) break
      url = next
      answer = await request(url, {})
    }
    return read(url, answer)
  }

  return {
    cookies,
    open: (path, init = {}) => follow(new URL(path, base), init),
    submit(page, fields = {}, { do: what } = {}) {
      const found = page.forms.filter((form) => what === undefined || form.fields.do === what)
      const fitting = found.filter((form) => Object.keys(fields).every((name) => form.names.has(name)))
      const form = fitting[0]
      if (!form) throw new Error(`no form with ${what ?? ''} ${Object.keys(fields)} in ${page.url}: ${page.text}`)
      const filled = Object.entries({ ...form.fields, ...fields })
      const body = form.isUpload ? new FormData() : new URLSearchParams()
      for (const [name, value] of filled) body.append(name, value as string)
      return follow(new URL(form.action, page.url), { method: 'POST', body })
    },
  }
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(/;\s*/)
  const [name = '', value = ''] = pair.split('=')
  expect(attributes, line).toEqual(expect.arrayContaining(['HttpOnly', 'SameSite=Lax', 'Path=/']))
  cookies.set(name, value)
}

async function read(url: URL, answer: Response): Promise<VisitedPage> {
  const text = await answer.text()
  const forms = [...text.matchAll(/<form method="post"([^>]*)>(.*?)<\/form>/gs)].map(([, attributes, content]) => ({
    action: unescapeHtml(/action="([^"]*)"/.exec(attributes!)?.[1] ?? url.pathname + url.search),
    fields: fieldsOf(content!),
    names: new Set([...content!.matchAll(/\bname="([^"]*)"/g)].map(([, name]) => name!)),
    isUpload: attributes!.includes('multipart/form-data'),
  }))
  return {
    status: answer.status,
    url,
    headers: answer.headers,
    text,
    title: plain(/<h1>(.*?)<\/h1>/s.exec(text)?.[1] ?? ''),
    alert: /role="alert"[^>]*>(.*?)<\//s.exec(text)?.[1]?.replace(/^.*$/s, plain),
    forms,
  }
}

/** The fields of a form as a browser would send them. Check boxes and radio buttons only if they are checked. */
function fieldsOf(content: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const [, attributes] of content.matchAll(/<(?:input|button|select|textarea)\b([^>]*)>/g)) {
    const name = /\bname="([^"]*)"/.exec(attributes!)?.[1]
    const isChoice = /type="(checkbox|radio)"/.test(attributes!)
    if (name === undefined || (isChoice && !/\bchecked\b/.test(attributes!))) continue
    fields[name] = unescapeHtml(/\bvalue="([^"]*)"/.exec(attributes!)?.[1] ?? '')
  }
  return fields
}

const plain = (markup: string) => unescapeHtml(markup.replace(/<[^>]*>/g, '').trim())

function unescapeHtml(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
}

/** Signs a visitor in with a password; returns the page to which that leads. */
export async function signIn(
  visitor: Visitor,
  user: { userId: string; password?: string },
  on = '/account',
): Promise<VisitedPage> {
  const page = await visitor.open(`/login?continue=${encodeURIComponent(on)}`)
  return visitor.submit(page, { user: user.userId, password: user.password ?? 'correct horse battery' })
}
