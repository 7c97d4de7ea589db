import { type KeyObject, verify } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { App } from '../../app.ts'
import { BadJsonError, MatrixError } from '../../core/errors.ts'
import { hashedJson, hasMatchingContentHash } from '../../core/events/content-hash.ts'
import { essentialJson } from '../../core/events/essential-json.ts'
import { parsePdu } from '../../core/events/parse-pdu.ts'
import type { Event, Pdu } from '../../core/events/pdu.ts'
import { redact } from '../../core/events/redaction.ts'
import { eventIdOf, hashedEventId } from '../../core/events/reference-hash.ts'
import { checkEventSize } from '../../core/events/size-limits.ts'
import { toEvent } from '../../core/events/to-event.ts'
import type { EventId, ServerName } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { decodeBase64 } from '../../core/signing/base64.ts'
import { requiredSigners } from '../../core/signing/verify-event.ts'
import type { WantedKey } from '../../infra/key-ring.ts'

/**
 * An event that is what its servers signed, redacted where its content is not; or why it is to be dropped. `unverified`: what may turn out to be good
 * once keys can be had that cannot be had now.
 */
export type VerifiedPdu =
  | { ok: true; event: Event }
  | { ok: false; eventId?: EventId; reason: string; unverified?: Event }

type Refused = VerifiedPdu & { ok: false }
type Claim = WantedKey & { signature: Buffer }
/** A PDU of the right form, redacted where its content is not what was hashed; `claims`: by server that has to have signed it, the signatures that are said to be its. */
type Candidate = { pdu: Pdu; eventId: EventId; signed: Buffer; claims: ReadonlyMap<ServerName, readonly Claim[]> }

/** How many events are looked at before other work has its turn. */
const AT_A_TIME = 100
const verifyInThreadPool = promisify(verify) as (
  algorithm: null,
  data: Buffer,
  key: KeyObject,
  signature: Buffer,
) => Promise<boolean>

/**
 * The first checks of received PDUs, in the given order: format, sizes, signatures of all servers that have to have signed, content hash.
 * Keys that are missing are fetched, with one request for each server; so it is not for use inside transactions.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu (1 to 3)
 */
export async function verifyEvents(
  app: Pick<App, 'keyRing'>,
  version: RoomVersion,
  pdus: readonly unknown[],
): Promise<VerifiedPdu[]> {
  const candidates = await inTurns(pdus, (pdu) => examine(version, pdu))
  const claims = candidates.flatMap((each) => ('ok' in each ? [] : [...each.claims.values()].flat()))
  const keys = await app.keyRing.find(claims)
  const keyOf = new Map(claims.map((claim, place) => [claim, keys[place]]))
  return inTurns(candidates, (each) => ('ok' in each ? each : judge(version, each, keyOf)))
}

async function inTurns<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Result | Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let place = 0; place < items.length; place += AT_A_TIME) {
    if (place > 0) await nextTurn()
    results.push(...(await Promise.all(items.slice(place, place + AT_A_TIME).map(work))))
  }
  return results
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
    return { pdu: trusted, eventId, signed: Buffer.from(essential), claims: claimsOf(version, pdu) }
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return { ok: false, ...(eventId && { eventId }), reason: error.message }
  }
}

/** PostgreSQL has no place for NUL in text. */
function requireStorable({ type, state_key: stateKey = '' }: Pdu): void {
  if (type.includes('\0') || stateKey.includes('\0')) throw new BadJsonError('type, state_key: must not contain NUL')
}

function claimsOf(version: RoomVersion, pdu: Pdu): Candidate['claims'] {
  // Before room version 5 keys counted for ever: https://spec.matrix.org/v1.19/rooms/v5/#signing-key-validity-period
  const validAt = version.enforceKeyValidity ? pdu.origin_server_ts : 0
  const claimsOfServer = (serverName: ServerName) =>
    Object.entries(pdu.signatures[serverName] ?? {}).flatMap(([keyId, encoded]) => {
      const signature = keyId.startsWith('ed25519:') ? decodeBase64(encoded) : undefined
      return signature ? [{ serverName, keyId, validAt, signature }] : []
    })
  return new Map(requiredSigners(version, pdu).map((server) => [server, claimsOfServer(server)]))
}

async function judge(
  version: RoomVersion,
  { pdu, eventId, signed, claims }: Candidate,
  keyOf: ReadonlyMap<Claim, KeyObject | undefined>,
): Promise<VerifiedPdu> {
  let unknown: ServerName | undefined
  for (const [server, ofServer] of claims) {
    if (await isSigned(signed, ofServer, keyOf)) continue
    if (ofServer.every((claim) => keyOf.get(claim)))
      return { ok: false, eventId, reason: `It has no valid signature of ${server}` }
    unknown = server
  }
  try {
    const event = toEvent(version, pdu, { event_id: eventId })
    if (unknown === undefined) return { ok: true, event }
    return { ok: false, eventId, reason: `The keys of ${unknown} cannot be had`, unverified: event }
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return { ok: false, eventId, reason: error.message }
  }
}

/** One good signature is enough: a server may have signed with keys that are gone. */
async function isSigned(
  data: Buffer,
  claims: readonly Claim[],
  keyOf: ReadonlyMap<Claim, KeyObject | undefined>,
): Promise<boolean> {
  for (const claim of claims) {
    const key = keyOf.get(claim)
    if (key && (await verifyInThreadPool(null, data, key, claim.signature))) return true
  }
  return false
}
