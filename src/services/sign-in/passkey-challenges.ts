import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App } from '../../app.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { spendChallengeHash } from '../../storage/sign-in/spent-challenges.ts'
import { hashToken } from '../users/tokens.ts'

/** The effect of an answer to a challenge: it adds a passkey, signs in, or completes a sign-in. */
export type ChallengePurpose = 'add' | 'sign in' | 'second factor'

/** The browser and the purpose that a challenge is for. */
export type ChallengeUse = { purpose: ChallengePurpose; cookie: string }

/** A page with a challenge may stay open for so long. */
const LIFETIME_MS = 60 * 60_000
const NONCE_BYTES = 16
const EXPIRY_BYTES = 6
const SIGNED_BYTES = NONCE_BYTES + EXPIRY_BYTES

/**
 * Makes the challenge of a page, for one browser and one purpose. It is random bytes and its expiry with a signature,
 * so that any process can check it, and pages that nobody answers store nothing.
 */
export async function newPasskeyChallenge(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  use: ChallengeUse,
): Promise<string> {
  const expiry = Buffer.alloc(EXPIRY_BYTES)
  expiry.writeUIntBE(app.clock.now() + LIFETIME_MS, 0, EXPIRY_BYTES)
  const signed = Buffer.concat([app.random.bytes(NONCE_BYTES), expiry])
  return Buffer.concat([signed, signatureOf(await loadKey(app), signed, use)]).toString('base64url')
}

/** Returns a function that tells whether a challenge is one of this server for this use that has not expired. */
export async function passkeyChallengeChecker(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  use: ChallengeUse,
): Promise<(challenge: string) => boolean> {
  const key = await loadKey(app)
  return (challenge) => {
    const bytes = Buffer.from(challenge, 'base64url')
    const [signed, signature] = [bytes.subarray(0, SIGNED_BYTES), bytes.subarray(SIGNED_BYTES)]
    const expected = signatureOf(key, signed, use)
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return false
    return expiryOf(challenge) > app.clock.now()
  }
}

/** Spends a valid challenge, so that its answer is good once; false if it was spent before. */
export async function spendPasskeyChallenge(tx: Tx, challenge: string, now: number): Promise<boolean> {
  // The bytes, since a text in base64url may have spare bits.
  const challengeHash = hashToken(Buffer.from(challenge, 'base64url').toString('base64url'))
  return spendChallengeHash(tx, { challengeHash, expiresTs: expiryOf(challenge), now })
}

function signatureOf(key: string, signed: Buffer, { purpose, cookie }: ChallengeUse): Buffer {
  return createHmac('sha256', key)
    .update(`${purpose}\n${hashToken(cookie)}\n`)
    .update(signed)
    .digest()
}

function expiryOf(challenge: string): number {
  return Buffer.from(challenge, 'base64url').readUIntBE(NONCE_BYTES, EXPIRY_BYTES)
}

function loadKey({ database, random }: Pick<App, 'database' | 'random'>): Promise<string> {
  return serverSecret(database, 'passkey_challenges', () => random.bytes(32).toString('base64url'))
}
