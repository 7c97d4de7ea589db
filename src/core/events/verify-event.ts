import { BadJsonError } from '../errors.ts'
import { domainOf, type ServerName } from '../ids.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { verifyJson } from '../signing/verify-json.ts'
import { redact } from './redaction.ts'

/**
 * Verifies a server's signature of an event with a public key in Base64. The caller checks the validity period of the
 * key. Returns false for malformed input.
 * https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
 */
export function verifyEventSignature(
  version: RoomVersion,
  pdu: Pdu,
  serverName: string,
  keyId: string,
  publicKey: string,
): boolean {
  return verifyJson(redact(version, pdu), serverName, keyId, publicKey)
}

/**
 * Returns the servers that must have signed an event, without duplicates. Throws BadJsonError if an id has no valid
 * server name, since no valid signature can exist.
 * https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
 */
export function requiredSigners(version: RoomVersion, pdu: Pdu): ServerName[] {
  const signers = new Set<ServerName>()
  // Another server than the inviter's may exchange a third-party invite.
  if (!isThirdPartyInvite(pdu)) signers.add(domainOrThrow(pdu.sender))
  if (version.eventIdFormat === 'server-chosen') signers.add(domainOrThrow(pdu.event_id))
  // A resident server confirms the membership in another room:
  // https://spec.matrix.org/v1.19/rooms/v8/#authorisation-rules (4.2)
  const authorisingUser = pdu.content.join_authorised_via_users_server
  if (version.restrictedJoins && isJoin(pdu) && authorisingUser !== undefined)
    signers.add(domainOrThrow(authorisingUser))
  return [...signers]
}

function isThirdPartyInvite({ type, content }: Pdu): boolean {
  return type === 'm.room.member' && content.membership === 'invite' && content.third_party_invite !== undefined
}

function isJoin({ type, content }: Pdu): boolean {
  return type === 'm.room.member' && content.membership === 'join'
}

function domainOrThrow(id: unknown): ServerName {
  const domain = typeof id === 'string' ? domainOf(id) : undefined
  if (domain === undefined) throw new BadJsonError('An id in the event has no server name')
  return domain
}
