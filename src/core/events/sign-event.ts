import type { ServerName } from '../ids.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { addSignature, type PrivateSigningKey, signText } from '../signing/sign-json.ts'
import { essentialJson } from './essential-json.ts'

/**
 * A copy of a hashed event with our signature beside those that it has, as for an invite or restricted join that another server made.
 * Throws BadJsonError. https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events
 */
export function signEvent(version: RoomVersion, pdu: Pdu, signer: PrivateSigningKey & { serverName: ServerName }): Pdu {
  const signature = signText(essentialJson(version, pdu), signer.privateKey)
  return { ...pdu, signatures: addSignature(pdu.signatures, signer.serverName, signer.keyId, signature) }
}
