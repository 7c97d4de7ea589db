import { createHash } from 'node:crypto'
import type { App } from '../../app.ts'
import type { Config } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import {
  type Assertion,
  type Credential,
  isCredentialId,
  PASSKEY_ALGORITHMS,
  parseAssertion,
  type RelyingParty,
  verifyAssertion,
  verifyAttestation,
} from '../../infra/sign-in/webauthn.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { PasskeyRow } from '../../storage/schema/sign-in.ts'
import {
  deletePasskey,
  findPasskey,
  insertPasskey,
  loadPasskeys,
  notePasskeyUse,
  updatePasskeyName,
} from '../../storage/sign-in/passkeys.ts'
import { countSecondFactors } from '../../storage/users/second-factors.ts'
import {
  type ChallengePurpose,
  newPasskeyChallenge,
  passkeyChallengeChecker,
  spendPasskeyChallenge,
} from './passkey-challenges.ts'
import { noSuchFactor, passkeyIsKnown, passkeysNeedTls, tooManyPasskeys, wrongPasskey } from './second-factor-errors.ts'
import {
  addSecondFactor,
  type FactorAdded,
  removeSecondFactor,
  requireEnrolment,
  type SecondFactorCapabilities,
} from './second-factors.ts'

/** The argument of `navigator.credentials.create` or `get` as JSON, with bytes in base64url. */
export type PasskeyOptions = Record<string, unknown>

/** A passkey whose use was verified. `consume` has to run in the transaction of what follows from it. */
export type ProvenPasskey = { userId: UserId; consume: (tx: Tx) => Promise<void> }

type Capabilities = Pick<App, 'database' | 'clock' | 'random' | 'config' | 'serverName'>

export const MAX_PASSKEY_NAME = 100
const MAX_PASSKEYS = 50
const TIMEOUT_MS = 5 * 60_000

/**
 * Returns the party that passkeys belong to, by the public address of this server; undefined if browsers refuse
 * passkeys there: without TLS, or without a name. https://www.w3.org/TR/webauthn-3/#rp-id
 */
export function findRelyingParty({ public_base_url }: Pick<Config, 'public_base_url'>): RelyingParty | undefined {
  const { protocol, hostname, origin } = new URL(public_base_url)
  const isAddress = /^\[|^[\d.]+$/.test(hostname)
  return !isAddress && (protocol === 'https:' || hostname === 'localhost') ? { id: hostname, origin } : undefined
}

/** Returns the options with which a browser adds a passkey. Throws if users cannot add any. */
export async function newPasskeyOptions(
  app: Capabilities,
  { userId, cookie }: { userId: UserId; cookie: string },
): Promise<PasskeyOptions> {
  requireEnrolment(app)
  const passkeys = await loadPasskeys(app.database, userId)
  return {
    challenge: await newPasskeyChallenge(app, { purpose: 'add', cookie }),
    rp: { id: requireParty(app).id, name: app.config.branding.name ?? app.serverName },
    user: { id: userHandleOf(userId), name: userId, displayName: userId },
    pubKeyCredParams: PASSKEY_ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
    timeout: TIMEOUT_MS,
    attestation: 'none',
    excludeCredentials: passkeys.map(descriptorOf),
    authenticatorSelection: { residentKey: 'preferred', requireResidentKey: false, userVerification: 'preferred' },
  }
}

/** Adds a passkey by the browser's answer. Throws if it is wrong, known, or one too many. */
export async function addPasskey(
  app: SecondFactorCapabilities,
  { userId, cookie, answer, name }: { userId: UserId; cookie: string; answer: string; name: string },
): Promise<FactorAdded> {
  const party = requireParty(app)
  const accepts = await passkeyChallengeChecker(app, { purpose: 'add', cookie })
  const credential = await verifyAttestation(answer, { party, accepts })
  if (!credential) throw wrongPasskey()
  const now = app.clock.now()
  return addSecondFactor(app, {
    userId,
    factor: 'passkey',
    async add(tx) {
      if (!(await spendPasskeyChallenge(tx, credential.challenge, now))) throw wrongPasskey()
      if ((await countSecondFactors(tx, userId)).passkeys >= MAX_PASSKEYS) throw tooManyPasskeys()
      const row = {
        credential_id: credential.id,
        user_id: userId,
        public_key: credential.publicKey,
        counter: credential.counter,
        transports: JSON.stringify(credential.transports),
        name: name.slice(0, MAX_PASSKEY_NAME),
        created_ts: now,
      }
      if (!(await insertPasskey(tx, row))) throw passkeyIsKnown()
    },
  })
}

/** Removes a passkey of a user. Throws if there is none. */
export async function removePasskey(
  app: SecondFactorCapabilities,
  { userId, credentialId }: { userId: UserId; credentialId: string },
): Promise<void> {
  await removeSecondFactor(app, {
    userId,
    factor: 'passkey',
    async remove(tx) {
      if (!isCredentialId(credentialId) || !(await deletePasskey(tx, userId, credentialId))) throw noSuchFactor()
    },
  })
}

/** Renames a passkey of a user. Throws if there is none. */
export async function renamePasskey(
  app: Pick<App, 'database'>,
  { userId, credentialId, name }: { userId: UserId; credentialId: string; name: string },
): Promise<void> {
  const change = { userId, credentialId, name: name.slice(0, MAX_PASSKEY_NAME) }
  if (!isCredentialId(credentialId) || !(await app.database.write((tx) => updatePasskeyName(tx, change))))
    throw noSuchFactor()
}

/**
 * Returns the options with which a browser uses a passkey: to sign in with any that it has for this server, or as the
 * second factor of a user with one of the user's. Undefined if there can be none.
 */
export async function passkeyUseOptions(
  app: Capabilities,
  { cookie, userId }: { cookie: string; userId?: UserId },
): Promise<PasskeyOptions | undefined> {
  const party = findRelyingParty(app.config)
  const passkeys = userId === undefined ? [] : await loadPasskeys(app.database, userId)
  const areUsed = userId === undefined ? app.config.second_factor !== 'off' : passkeys.length > 0
  if (!party || !areUsed) return undefined
  return {
    challenge: await newPasskeyChallenge(app, { purpose: purposeOf(userId), cookie }),
    rpId: party.id,
    timeout: TIMEOUT_MS,
    allowCredentials: passkeys.map(descriptorOf),
    userVerification: userId === undefined ? 'required' : 'preferred',
  }
}

/**
 * Verifies the use of a passkey by the browser's answer to `passkeyUseOptions`. Without a user, the passkey says who
 * signs in, and the authenticator must have verified that person. Throws if it is
 * wrong.
 */
export async function provePasskey(
  app: Capabilities,
  { cookie, userId, answer }: { cookie: string; userId?: UserId; answer: string },
): Promise<ProvenPasskey> {
  const assertion = parseAssertion(answer)
  const passkey = assertion && (await findPasskey(app.database, assertion.id))
  if (!passkey || !belongsTo(passkey, assertion, userId)) throw wrongPasskey()
  const accepts = await passkeyChallengeChecker(app, { purpose: purposeOf(userId), cookie })
  const proof = await verifyAssertion(assertion, {
    party: requireParty(app),
    credential: credentialOf(passkey),
    accepts,
    needsUserVerification: userId === undefined,
  })
  if (!proof) throw wrongPasskey()
  const now = app.clock.now()
  const use = { credentialId: passkey.credential_id, counter: proof.counter, now }
  return {
    userId: passkey.user_id,
    async consume(tx) {
      const isFirst = (await spendPasskeyChallenge(tx, proof.challenge, now)) && (await notePasskeyUse(tx, use))
      if (!isFirst) throw wrongPasskey()
    },
  }
}

function purposeOf(userId: UserId | undefined): ChallengePurpose {
  return userId === undefined ? 'sign in' : 'second factor'
}

function belongsTo(passkey: PasskeyRow, { response }: Assertion, userId: UserId | undefined): boolean {
  const handle = response.userHandle ?? undefined
  if (userId !== undefined && passkey.user_id !== userId) return false
  return handle === undefined || handle === userHandleOf(passkey.user_id)
}

/** A user id may be longer than the 64 bytes of a handle, and authenticators show handles to anybody. */
function userHandleOf(userId: UserId): string {
  return createHash('sha256').update(userId).digest('base64url')
}

function descriptorOf({ credential_id, transports }: PasskeyRow): PasskeyOptions {
  return { type: 'public-key', id: credential_id, transports: JSON.parse(transports) }
}

function credentialOf({ credential_id, public_key, counter }: PasskeyRow): Credential {
  return { id: credential_id, publicKey: public_key, counter }
}

function requireParty({ config }: Pick<App, 'config'>): RelyingParty {
  const party = findRelyingParty(config)
  if (!party) throw passkeysNeedTls()
  return party
}
