import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { parseScope } from '../../core/oauth-scope.ts'
import { deleteOAuthRequest, findOAuthRequest, insertOAuthRequest } from '../../storage/oauth/oauth-requests.ts'
import type { OAuthRequestRow } from '../../storage/schema/oauth.ts'
import { findClient, hasRedirect, noteClientUse, type OAuthClient } from './oauth-clients.ts'
import { OAuthError, type OAuthErrorCode } from './oauth-error.ts'

/** The parameters of an authorization request: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1 */
export type AuthorizationParameters = Partial<Record<(typeof PARAMETERS)[number], string>>

const PARAMETERS = [
  ...(['client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state'] as const),
  ...(['code_challenge', 'code_challenge_method', 'nonce', 'prompt', 'login_hint'] as const),
  ...(['request', 'request_uri'] as const),
] as const

/** A stored request with what it asks for. */
export type PendingAuthorization = { request: OAuthRequestRow; client: OAuthClient }

/** A request that was just stored. */
export type BegunAuthorization = { requestId: string; prompt: string[]; loginHint: string | null }

/** Where a request's answer goes. */
type ReplyTarget = Pick<OAuthRequestRow, 'redirect_uri' | 'response_mode' | 'state'>

/** How long a user may take to sign in. */
const REQUEST_LIFETIME_MS = 60 * 60_000
const REQUEST_ID_LENGTH = 24
const MAX_PARAMETER_LENGTH = 4096

/** An error that the client receives at its redirect URI. `location`: that URI with the error. */
export class AuthorizationError extends OAuthError {
  readonly location: string
  constructor(code: OAuthErrorCode, message: string, target: ReplyTarget) {
    super(code, message)
    this.location = replyLocation(target, { error: code, error_description: message })
  }
}

/**
 * Validates and stores an authorization request. `isSignedIn`: whether the browser has a session. Throws AuthorizationError for errors that the client receives, and
 * other errors for the user if the client or its redirect URI is unknown.
 * https://spec.matrix.org/v1.19/client-server-api/#login-flow
 */
export async function beginAuthorization(
  app: Pick<App, 'database' | 'clock' | 'config' | 'random'>,
  query: URLSearchParams,
  isSignedIn: boolean,
): Promise<BegunAuthorization> {
  const { parameters, repeated } = readParameters(query)
  const client = await findClient(app, parameters.client_id ?? '')
  const target = replyTarget(client, parameters)
  const refuse = (code: OAuthErrorCode, message: string): never => {
    throw new AuthorizationError(code, message, target)
  }
  if (repeated) refuse('invalid_request', `${repeated} is given twice`)
  if (parameters.request !== undefined) refuse('request_not_supported', 'request objects are not supported')
  if (parameters.request_uri !== undefined) refuse('request_uri_not_supported', 'request objects are not supported')
  if (parameters.response_type !== 'code') refuse('unsupported_response_type', 'response_type must be code')
  if (!/^(query|fragment)?$/.test(parameters.response_mode ?? ''))
    refuse('invalid_request', 'response_mode must be query or fragment')
  if (parameters.code_challenge_method !== 'S256' || !/^[A-Za-z0-9_-]{43}$/.test(parameters.code_challenge ?? ''))
    refuse('invalid_request', 'code_challenge with code_challenge_method S256 is needed')
  const parsed = parseScope(parameters.scope ?? '')
  if ('reason' in parsed) throw new AuthorizationError('invalid_scope', parsed.reason, target)
  const prompt = [...new Set((parameters.prompt ?? '').split(' '))].filter((value) => value !== '')
  if (prompt.includes('none'))
    refuse(isSignedIn ? 'consent_required' : 'login_required', 'the user has to see a page of this server')
  const now = app.clock.now()
  const request = {
    ...target,
    request_id: app.random.token(REQUEST_ID_LENGTH),
    client_id: client.clientId,
    scope: parsed.scope,
    nonce: parameters.nonce ?? null,
    code_challenge: parameters.code_challenge!,
    prompt: JSON.stringify(prompt),
    login_hint: parameters.login_hint ?? null,
    created_ts: now,
    expires_ts: now + REQUEST_LIFETIME_MS,
  }
  await noteClientUse(app, client)
  await app.database.write((tx) => insertOAuthRequest(tx, request))
  return { requestId: request.request_id, prompt, loginHint: request.login_hint }
}

/** Finds a request that waits for its user. Throws M_SIGN_IN_ENDED if it has expired or was answered. */
export async function findAuthorization(
  app: Pick<App, 'database' | 'clock'>,
  requestId: string,
): Promise<PendingAuthorization> {
  const request = await findOAuthRequest(app.database, requestId, app.clock.now())
  if (!request || request.exchanged_ts !== null) throw signInEnded()
  return { request, client: await findClient(app, request.client_id) }
}

/** Whether the client demands a sign-in, or a registration, that began after its request. */
export function needsNewSignIn(
  { request }: PendingAuthorization,
  { authenticatedTs }: { authenticatedTs: number },
): boolean {
  const prompts = JSON.parse(request.prompt) as string[]
  const isDemanded = prompts.includes('login') || prompts.includes('create')
  return isDemanded && authenticatedTs < request.created_ts
}

/** Refuses a request for its user. Returns where the client receives that. */
export async function cancelAuthorization(
  app: Pick<App, 'database'>,
  { request }: PendingAuthorization,
): Promise<string> {
  await app.database.write((tx) => deleteOAuthRequest(tx, request.request_id))
  return replyLocation(request, { error: 'access_denied', error_description: 'The user has cancelled the sign-in' })
}

/** The error for a request that was answered or has expired. */
export function signInEnded(): MatrixError {
  return new MatrixError(404, 'M_SIGN_IN_ENDED', 'This sign-in has ended. Start again in your application.')
}

/** Returns the redirect URI of a request with the parameters of the answer. */
export function replyLocation(
  { redirect_uri, response_mode, state }: ReplyTarget,
  answer: Readonly<Record<string, string>>,
): string {
  const text = new URLSearchParams({ ...answer, ...(state !== '' && { state }) }).toString()
  if (response_mode === 'fragment') return `${redirect_uri}#${text}`
  return `${redirect_uri}${redirect_uri.includes('?') ? '&' : '?'}${text}`
}

function readParameters(query: URLSearchParams): { parameters: AuthorizationParameters; repeated: string | undefined } {
  const parameters: AuthorizationParameters = {}
  for (const name of PARAMETERS) {
    const value = query.get(name)
    if (value === null) continue
    if (value.length > MAX_PARAMETER_LENGTH || value.includes('\0'))
      throw new OAuthError('invalid_request', `${name} is too long or contains NUL`)
    // A parameter without a value counts as absent: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    if (value !== '') parameters[name] = value
  }
  return { parameters, repeated: PARAMETERS.find((name) => query.getAll(name).length > 1) }
}

function replyTarget(client: OAuthClient, parameters: AuthorizationParameters): ReplyTarget {
  const { redirect_uri, response_mode, state = '' } = parameters
  if (redirect_uri === undefined || !hasRedirect(client, redirect_uri))
    throw new OAuthError(
      'invalid_redirect_uri',
      'The redirect URI is not one of those that the application has registered',
    )
  return { redirect_uri, response_mode: response_mode === 'fragment' ? 'fragment' : 'query', state }
}
