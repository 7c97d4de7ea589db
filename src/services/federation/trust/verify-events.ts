import { setImmediate as nextTurn } from 'node:timers/promises'
import type { App } from '../../../app.ts'
import { BadJsonError, MatrixError } from '../../../core/errors.ts'
import { hashedJson, hasMatchingContentHash } from '../../../core/events/content-hash.ts'
import { essentialJson } from '../../../core/events/essential-json.ts'
import { parsePdu } from '../../../core/events/parse-pdu.ts'
import { redact } from '../../../core/events/redaction.ts'
import { eventIdOf, hashedEventId } from '../../../core/events/reference-hash.ts'
import { checkEventSize } from '../../../core/events/size-limits.ts'
import { toEvent } from '../../../core/events/to-event.ts'
import { requiredSigners } from '../../../core/events/verify-event.ts'
import type { EventId, ServerName } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { decodeBase64 } from '../../../core/text/base64.ts'
import type { WantedKey } from '../../../infra/federation/key-fetcher.ts'
import { verifySignatures } from '../../../infra/federation/signature-thread.ts'

/**
 * A verified event, redacted if its content hash is wrong; or the reason to drop it. `unverified`: may turn out valid
 * once currently unavailable keys can be fetched.
 */
export type VerifiedPdu =
  | { ok: true; event: Event }
  | { ok: false; eventId?: EventId; reason: string; unverified?: Event }

type Refused = VerifiedPdu & { ok: false }
/** `data`: the signed bytes. */
type Claim = WantedKey & { signature: Buffer; data: Buffer }
/**
 * A well-formed PDU, redacted if its content hash is wrong; `claims`: the signatures to verify, by server that must
 * have signed.
 */
type Candidate = { pdu: Pdu; eventId: EventId; claims: ReadonlyMap<ServerName, readonly Claim[]> }

/** Number of events processed before yielding to other work. */
const AT_A_TIME = 100

/**
 * Runs the first checks of received PDUs, in the given order: format, sizes, signatures of all required servers,
 * content hash. Fetches missing keys with one request per server, so it must not run inside transactions.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu (1 to 3)
 */
export async function verifyEvents(
  app: Pick<App, 'keyRing'>,
  version: RoomVersion,
  pdus: readonly unknown[],
): Promise<VerifiedPdu[]> {
  const candidates = await examineInTurns(version, pdus)
  const verdicts = await verdictsOf(app, candidates)
  return candidates.map((each) => ('ok' in each ? each : judge(version, each, verdicts)))
}

async function examineInTurns(version: RoomVersion, pdus: readonly unknown[]): Promise<(Candidate | Refused)[]> {
  const candidates: (Candidate | Refused)[] = []
  for (const [place, pdu] of pdus.entries()) {
    if (place > 0 && place % AT_A_TIME === 0) await nextTurn()
    candidates.push(examine(version, pdu))
  }
  return candidates
}

/** Verifies the signatures; those whose keys are unavailable are left out. */
async function verdictsOf(
  { keyRing }: Pick<App, 'keyRing'>,
  candidates: readonly (Candidate | Refused)[],
): Promise<Map<Claim, boolean>> {
  const claims = candidates.flatMap((each) => ('ok' in each ? [] : [...each.claims.values()].flat()))
  const keys = await keyRing.find(claims)
  const known = claims.flatMap((claim, place) => (keys[place] ? { claim, publicKey: keys[place] } : []))
  const verdicts = await verifySignatures(known.map(({ claim, publicKey }) => ({ ...claim, publicKey })))
  return new Map(known.map(({ claim }, place) => [claim, verdicts[place]!]))
}

function examine(version: RoomVersion, json: unknown): Candidate | Refused {
  let eventId: EventId | undefined
  try {
    const pdu = parsePdu(version, json)
    requireStorable(pdu)
    const essential = essentialJson(version, pdu)
    eventId = version.eventIdFormat === 'server-chosen' ? eventIdOf(version, pdu) : hashedEventId(version, essential)
    const hashed = hashedJson(pdu)
    checkEventSize(version, pdu, hashed)
    const trusted = hasMatchingContentHash(pdu, hashed) ? pdu : redact(version, pdu)
    return { pdu: trusted, eventId, claims: claimsOf(version, pdu, Buffer.from(essential)) }
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return { ok: false, ...(eventId && { eventId }), reason: error.message }
  }
}

/** PostgreSQL text cannot contain NUL. */
function requireStorable({ type, state_key: stateKey = '' }: Pdu): void {
  if (type.includes('\0') || stateKey.includes('\0')) throw new BadJsonError('type, state_key: must not contain NUL')
}

function claimsOf(version: RoomVersion, pdu: Pdu, data: Buffer): Candidate['claims'] {
  // Before room version 5 keys never expired: https://spec.matrix.org/v1.19/rooms/v5/#signing-key-validity-period
  const validAt = version.enforceKeyValidity ? pdu.origin_server_ts : 0
  const claimsOfServer = (serverName: ServerName) =>
    Object.entries(pdu.signatures[serverName] ?? {}).flatMap(([keyId, encoded]) => {
      const signature = keyId.startsWith('ed25519:') ? decodeBase64(encoded) : undefined
      return signature ? [{ serverName, keyId, validAt, signature, data }] : []
    })
  return new Map(requiredSigners(version, pdu).map((server) => [server, claimsOfServer(server)]))
}

function judge(
  version: RoomVersion,
  { pdu, eventId, claims }: Candidate,
  verdicts: ReadonlyMap<Claim, boolean>,
): VerifiedPdu {
  let unknown: ServerName | undefined
  for (const [server, ofServer] of claims) {
    // One valid signature suffices: a server may also have signed with keys that are gone.
    if (ofServer.some((claim) => verdicts.get(claim))) continue
    if (ofServer.every((claim) => verdicts.has(claim)))
      return { ok: false, eventId, reason: `The signature of ${server} is missing or invalid` }
    unknown = server
  }
  try {
    const event = toEvent(version, pdu, { event_id: eventId })
    if (unknown === undefined) return { ok: true, event }
    return { ok: false, eventId, reason: `The signing keys of ${unknown} are unavailable`, unverified: event }
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return { ok: false, eventId, reason: error.message }
  }
}
