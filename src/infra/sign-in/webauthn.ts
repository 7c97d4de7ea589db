import { z } from 'zod'

/** The party that passkeys are bound to: the host and the origin of this server's pages. */
export type RelyingParty = { id: string; origin: string }

/** A passkey as it is stored; `publicKey` in base64url (COSE). */
export type Credential = { id: string; publicKey: string; counter: number }

/** ES256, RS256 and Ed25519, as authenticators have them: https://www.iana.org/assignments/cose */
export const PASSKEY_ALGORITHMS = [-7, -257, -8]

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/)
const extensions = z.record(z.string(), z.unknown()).optional()
/** Larger ids do not exist: https://www.w3.org/TR/webauthn-3/#credential-id */
const credentialId = base64url.max(1400)

/** Whether a text has the form of a credential id, so that it can be looked up. */
export function isCredentialId(text: string): boolean {
  return credentialId.safeParse(text).success
}

/** The browser's answer to `navigator.credentials.create`. */
const attestation = z.object({
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  clientExtensionResults: extensions,
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: z.array(z.string().max(32)).max(10).optional(),
  }),
})

/** The browser's answer to `navigator.credentials.get`. */
const assertion = z.object({
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  clientExtensionResults: extensions,
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: base64url.nullish(),
  }),
})
export type Assertion = z.output<typeof assertion>

const clientData = z.object({ challenge: base64url })

/** Parses the browser's answer to `navigator.credentials.get`; undefined for any other text. */
export function parseAssertion(text: string): Assertion | undefined {
  return assertion.safeParse(parseJson(text)).data
}

/**
 * Verifies a new passkey: the answer to `challenge` by a browser on a page of this server. `accepts`: whether the
 * challenge is one of this server. Undefined if anything is wrong.
 */
export async function verifyAttestation(
  text: string,
  { party, accepts }: { party: RelyingParty; accepts: (challenge: string) => boolean },
): Promise<(Credential & { transports: string[]; challenge: string }) | undefined> {
  const answer = attestation.safeParse(parseJson(text)).data
  if (!answer) return undefined
  const { verifyRegistrationResponse } = await import('@simplewebauthn/server')
  const result = await refusedAsUndefined(() =>
    verifyRegistrationResponse({
      response: { ...answer, clientExtensionResults: {}, response: { ...answer.response, transports: [] } },
      expectedChallenge: accepts,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: false,
      supportedAlgorithmIDs: PASSKEY_ALGORITHMS,
    }),
  )
  if (!result?.verified) return undefined
  const { id, publicKey, counter } = result.registrationInfo.credential
  const { transports = [], clientDataJSON } = answer.response
  const challenge = challengeOf(clientDataJSON)
  return { id, publicKey: Buffer.from(publicKey).toString('base64url'), counter, transports, challenge }
}

/** Verifies the use of a passkey. Returns its new counter and the challenge; undefined if anything is wrong. */
export async function verifyAssertion(
  answer: Assertion,
  given: {
    party: RelyingParty
    credential: Credential
    accepts: (challenge: string) => boolean
    /** Whether the authenticator has to verify the user, by a PIN or a fingerprint. */
    needsUserVerification: boolean
  },
): Promise<{ counter: number; challenge: string } | undefined> {
  const { party, credential, accepts, needsUserVerification } = given
  const { verifyAuthenticationResponse } = await import('@simplewebauthn/server')
  const { clientDataJSON, authenticatorData, signature } = answer.response
  const result = await refusedAsUndefined(() =>
    verifyAuthenticationResponse({
      response: { ...answer, clientExtensionResults: {}, response: { clientDataJSON, authenticatorData, signature } },
      expectedChallenge: accepts,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: needsUserVerification,
      credential: {
        id: credential.id,
        publicKey: Uint8Array.from(Buffer.from(credential.publicKey, 'base64url')),
        counter: credential.counter,
      },
    }),
  )
  if (!result?.verified) return undefined
  return { counter: result.authenticationInfo.newCounter, challenge: challengeOf(clientDataJSON) }
}

/** Returns the challenge of a verified answer. */
function challengeOf(clientDataJson: string): string {
  return clientData.parse(parseJson(Buffer.from(clientDataJson, 'base64url').toString())).challenge
}

/** The library throws for every fault of an answer, also for bytes that it cannot parse. */
async function refusedAsUndefined<Result>(verify: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await verify()
  } catch {
    return undefined
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
