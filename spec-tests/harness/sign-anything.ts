import type { Signer } from '../../src/core/events/build-event.ts'
import { contentHash } from '../../src/core/events/content-hash.ts'
import { redact } from '../../src/core/events/redaction.ts'
import type { Pdu } from '../../src/core/pdu.ts'
import { ROOM_VERSIONS } from '../../src/core/room-versions.ts'
import { signableJson, signText } from '../../src/core/signing/sign-json.ts'

/** Hashes and signs an event as far as possible; an object without canonical JSON is returned unchanged. */
export function signAnything(pdu: object, roomVersion: string, { serverName, keyId, privateKey }: Signer): object {
  try {
    const hashed = { ...pdu, hashes: { sha256: contentHash(pdu as Pdu) } } as Pdu
    const text = signableJson(redact(ROOM_VERSIONS.get(roomVersion)!, hashed))
    return { ...hashed, signatures: { [serverName]: { [keyId]: signText(text, privateKey) } } }
  } catch {
    return pdu
  }
}
