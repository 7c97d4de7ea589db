import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { isUserId, type UserId } from '../../../core/ids.ts'
import { violatesUnique } from '../../../storage/engine/database.ts'
import { insertRegistrationNonce } from '../../../storage/users/registration-nonces.ts'
import { requireMac } from '../registration/shared-secret-registration.ts'
import type { Session } from '../session.ts'

/**
 * Shows that a request comes from a command of `hearth`. `name`: the user of the operating system; `nonce`: random;
 * `time`: milliseconds since 1970; `mac`: hexadecimal HMAC-SHA256 of `operatorParts` by the shared secret for registration.
 */
export type OperatorProof = { name: string; nonce: string; time: number; mac: string }

/** The request that a proof is for. `url`: path and query. */
export type ProvedRequest = { method: string; url: string }

/** The authentication scheme in the header `Authorization`. */
const SCHEME = 'Hearth-Operator'
const VALID_MS = 60_000
const MAX_TEXT = 64

/** Returns what the MAC of a request covers. */
export function operatorParts(proof: Omit<OperatorProof, 'mac'>, { method, url }: ProvedRequest): string[] {
  return ['hearth operator', proof.name, proof.nonce, String(proof.time), method, url]
}

/** Renders a proof as a value of the header `Authorization`. */
export function writeOperatorProof(proof: OperatorProof): string {
  return `${SCHEME} ${Buffer.from(JSON.stringify(proof)).toString('base64url')}`
}

/** Returns the proof in a header `Authorization`; undefined if it has none. */
export function readOperatorProof(header: string | undefined): OperatorProof | undefined {
  const [scheme, encoded = ''] = header?.split(' ', 2) ?? []
  if (scheme !== SCHEME) return undefined
  try {
    const { name, nonce, time, mac } = JSON.parse(Buffer.from(encoded, 'base64url').toString())
    return { name: String(name), nonce: String(nonce), time: Number(time), mac: String(mac) }
  } catch {
    return { name: '', nonce: '', time: 0, mac: '' }
  }
}

/**
 * Opens the session of an operator, with the rights of an administrator for one request: the same secret lets its holder
 * create administrators. A proof is valid once, for a minute. Throws M_FORBIDDEN.
 */
export async function openOperatorSession(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  proof: OperatorProof,
  request: ProvedRequest,
): Promise<Session> {
  const { name, nonce, time, mac } = proof
  requireMac(app, { mac, signed: operatorParts(proof, request), algorithm: 'sha256' })
  const now = app.clock.now()
  if (!(Math.abs(now - time) < VALID_MS) || nonce.length > MAX_TEXT || name.length > MAX_TEXT)
    throw new ForbiddenError('The time of the request is wrong')
  // Kept until no request with this time is valid any more.
  const used = { nonce, expiresTs: time + VALID_MS, now }
  await app.database
    .write((tx) => insertRegistrationNonce(tx, used))
    .catch((error) => {
      throw violatesUnique(error, 'registration_nonces_pkey') ? new ForbiddenError('The nonce is used') : error
    })
  return {
    // No Matrix user: it names the operator in the audit log, and as the one who blocked or quarantined something.
    userId: `command line: ${name}` as UserId,
    ...{ deviceId: null, appservice: null, tokenHash: '', scope: null },
    ...{ isAdmin: true, exemptFromRateLimits: true },
    ...{ isGuest: false, isLocked: false, isExpired: false, isSuspended: false, isShadowBanned: false, createdTs: 0 },
  }
}

/** Returns the administrator of a session, who can send events; null: an operator, who is no user. */
export function administratorOf({ userId }: Pick<Session, 'userId'>): UserId | null {
  return isUserId(userId) ? userId : null
}
