import type { ProviderConfig } from '../../config.ts'
import type { Claims } from '../../core/text/claim-template.ts'

/** A person, as an identity provider knows them. */
export type UpstreamIdentity = {
  /** The provider's permanent name of the person. */
  subject: string
  /** The session at the provider, which a back-channel logout may name. */
  sid: string | undefined
  claims: Claims
}

/** The secrets of one sign-in at a provider. The callback's address must stay the same from start to end. */
export type UpstreamRequest = {
  callback: string
  state: string
  nonce: string
  codeVerifier: string
  /**
   * When a user began to prove again who they are: the provider has to ask, even if they are signed in there. null: no
   * such demand.
   */
  againSinceTs: number | null
}

/** The end of a session at the provider: of one session, or of all sessions of a person. */
export type UpstreamLogout = {
  subject: string | undefined
  sid: string | undefined
  /** Each logout token is used once. */
  tokenId: string
}

/** Requests to one identity provider. All throw UpstreamError. */
export type UpstreamProvider = {
  readonly config: ProviderConfig
  /** Returns the page of the provider to which to send the browser. */
  authorizationUrl(request: UpstreamRequest): Promise<string>
  /** Returns the person that the answer in the callback's query proves. */
  identify(request: UpstreamRequest, answer: URLSearchParams): Promise<UpstreamIdentity>
  /** Validates a logout token. Undefined: the provider has no back-channel logout. */
  readLogout?(token: string): Promise<UpstreamLogout>
}

/**
 * - `unreachable`: the provider does not answer, or fails.
 * - `denied`: the person cancelled, or may not sign in.
 * - `refused`: the provider refuses the request, for instance because its answer was used before.
 * - `invalid`: its answer is wrong or forged.
 * - `clock`: its answer is of another time.
 * - `misconfigured`: it does not accept this client, or is another one than configured.
 */
export type UpstreamFault = 'unreachable' | 'denied' | 'refused' | 'invalid' | 'clock' | 'misconfigured'

/** A sign-in at a provider failed. */
export class UpstreamError extends Error {
  readonly fault: UpstreamFault
  constructor(fault: UpstreamFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = new.target.name
    this.fault = fault
  }
}
