import { SaxesParser } from 'saxes'
import type { CasProviderConfig } from '../../config.ts'
import type { ProviderFetch } from './provider-fetch.ts'
import { UpstreamError, type UpstreamIdentity, type UpstreamProvider } from './upstream-provider.ts'

const CAS = 'http://www.yale.edu/tp/cas'
const MAX_ATTRIBUTES = 200

/** CAS 3.0: https://apereo.github.io/cas/development/protocol/CAS-Protocol-Specification.html */
export function createCasProvider(config: CasProviderConfig, { fetch }: { fetch: ProviderFetch }): UpstreamProvider {
  // CAS compares the service's URL, and has no other place for the state.
  const serviceOf = (callback: string, state: string) => `${callback}?${new URLSearchParams({ state })}`
  return {
    config,
    async authorizationUrl({ callback, state, againSinceTs }) {
      return `${config.server_url}/login?${parametersOf(serviceOf(callback, state), againSinceTs)}`
    },
    async identify({ callback, state, againSinceTs }, answer) {
      const ticket = answer.get('ticket')
      if (!ticket) throw new UpstreamError('denied', 'There is no ticket')
      const query = parametersOf(serviceOf(callback, state), againSinceTs)
      query.set('ticket', ticket)
      return parseValidation(await ask(`${config.server_url}/p3/serviceValidate?${query}`))
    },
  }

  async function ask(url: string): Promise<string> {
    const answer = await fetch(url, { headers: { accept: 'application/xml, text/xml' } }).catch((error: Error) => {
      throw new UpstreamError('unreachable', error.message, error)
    })
    if (answer.ok) return answer.text()
    throw new UpstreamError(answer.status >= 500 ? 'unreachable' : 'misconfigured', `status ${answer.status}`)
  }
}

/** `renew`: CAS asks for the password, and validates no ticket that it issued without. */
function parametersOf(service: string, againSinceTs: number | null): URLSearchParams {
  return new URLSearchParams({ service, ...(againSinceTs !== null && { renew: 'true' }) })
}

/** Returns the person that an answer of `/p3/serviceValidate` names. Throws UpstreamError for a failure. */
export function parseValidation(xml: string): UpstreamIdentity {
  const elements = readElements(xml)
  const failure = elements.find(({ path }) => path === 'serviceResponse/authenticationFailure')
  if (failure) throw failureOf(failure)
  const success = 'serviceResponse/authenticationSuccess/'
  const user = elements.find(({ path }) => path === `${success}user`)?.text
  if (!user) throw new UpstreamError('invalid', 'The answer names no user')
  const claims: Record<string, string[]> = Object.create(null)
  for (const { path, text } of elements) {
    const name = path.startsWith(`${success}attributes/`) ? path.slice(`${success}attributes/`.length) : ''
    if (name !== '' && !name.includes('/')) claims[name] = [...(claims[name] ?? []), text]
  }
  return { subject: user, sid: undefined, claims: { ...claims, user } }
}

type Element = { path: string; text: string; code: string | undefined }

/** The protocol's error codes; any other is a refused ticket. */
function failureOf({ code, text }: Element): UpstreamError {
  const message = `${code}: ${text}`
  if (code === 'INTERNAL_ERROR') return new UpstreamError('unreachable', message)
  if (code === 'UNAUTHORIZED_SERVICE' || code === 'INVALID_SERVICE' || code === 'INVALID_REQUEST')
    return new UpstreamError('misconfigured', message)
  return new UpstreamError('refused', message)
}

/** Returns the elements of the protocol's namespace, with the text directly inside each. No entity is expanded. */
function readElements(xml: string): Element[] {
  const parser = new SaxesParser({ xmlns: true })
  const found: Element[] = []
  const open: Element[] = []
  parser.on('error', (error) => {
    throw new UpstreamError('invalid', error.message, error)
  })
  parser.on('doctype', () => {
    throw new UpstreamError('invalid', 'The answer has a document type')
  })
  parser.on('opentag', ({ local, uri, attributes }) => {
    // Attributes may be of other namespaces, the protocol's own elements may not.
    const isOwn = uri === CAS || open.some(({ path }) => path.endsWith('/attributes'))
    const path = [open.at(-1)?.path, isOwn ? local : `{${uri}}${local}`].filter(Boolean).join('/')
    const element = { path, text: '', code: attributes.code?.value }
    open.push(element)
    if (found.push(element) > MAX_ATTRIBUTES) throw new UpstreamError('invalid', 'The answer has too many elements')
  })
  const addText = (text: string) => {
    const element = open.at(-1)
    if (element) element.text += text
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => void open.pop())
  parser.write(xml).close()
  return found.map((element) => ({ ...element, text: element.text.trim() }))
}
