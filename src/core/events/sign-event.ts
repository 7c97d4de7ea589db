import type { ServerName } from '../ids.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { addSignature, type PrivateSigningKey, signText } from '../signing/sign-json.ts'
import { essentialJson } from './essential-json.ts'

/**
 * Returns a copy of a hashed event with this server's signature added, for instance for an invite or a restricted join
 * of another server. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events
 */
export function signEvent(version: RoomVersion, pdu: Pdu, signer: PrivateSigningKey & { serverName: ServerName }): Pdu {
  const signature = signText(essentialJson(version, pdu), signer.privateKey)
  return { ...pdu, signatures: addSignature(pdu.signatures, signer.serverName, signer.keyId, signature) }
}
