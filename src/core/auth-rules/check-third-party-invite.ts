import type { Event, Json, JsonObject } from '../pdu.ts'
import { verifyJson } from '../signing/verify-json.ts'
import type { MemberChange } from './member-change.ts'
import { membershipOf } from './membership.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/** A real invite needs one or two. Without a limit, one event could use a minute of CPU time. */
const MAX_VERIFICATIONS = 256

/**
 * Rule 4.4.1, the exchange of a third-party invite for an invite of a user. Comments give the rule numbers of version
 * 11. https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkThirdPartyInvite({ state, sender, target, content, rule }: MemberChange): AuthVerdict {
  const number = `${rule.invite}.1`
  // 4.4.1.1
  if (membershipOf(state, target) === 'ban') return refuse(`${number}.1`, 'The user is banned')
  const signed = objectOrNone(objectOrNone(content.third_party_invite)?.signed)
  // 4.4.1.2
  if (signed === undefined) return refuse(`${number}.2`, 'third_party_invite is not signed')
  const { mxid, token } = signed
  // 4.4.1.3
  if (typeof mxid !== 'string' || typeof token !== 'string') return refuse(`${number}.3`, 'mxid or token is missing')
  // 4.4.1.4
  if (mxid !== target) return refuse(`${number}.4`, 'The mxid is not the invited user')
  const invite = state.get('m.room.third_party_invite', token)
  // 4.4.1.5
  if (invite === undefined) return refuse(`${number}.5`, 'The room has no m.room.third_party_invite with that token')
  // 4.4.1.6
  if (invite.pdu.sender !== sender) return refuse(`${number}.6`, 'The third party was invited by another user')
  // 4.4.1.7
  if (isSignedByKeyOf(invite, signed)) return ALLOWED
  // 4.4.1.8
  return refuse(`${number}.8`, 'No signature matches a key of the m.room.third_party_invite')
}

function isSignedByKeyOf(invite: Event, signed: JsonObject): boolean {
  let left = MAX_VERIFICATIONS
  for (const [server, keyId] of signaturesOf(signed)) {
    for (const publicKey of publicKeysOf(invite)) {
      if (left-- === 0) return false
      if (verifyJson(signed, server, keyId, publicKey)) return true
    }
  }
  return false
}

function* signaturesOf(signed: JsonObject): Generator<[server: string, keyId: string]> {
  for (const [server, signatures] of Object.entries(objectOrNone(signed.signatures) ?? {})) {
    for (const keyId of Object.keys(objectOrNone(signatures) ?? {})) {
      if (keyId.startsWith('ed25519:')) yield [server, keyId]
    }
  }
}

/** The single key (4.4.1.7.1) and those of the list (4.4.1.7.2). */
function publicKeysOf({ pdu: { content } }: Event): Set<string> {
  const listed = Array.isArray(content.public_keys)
    ? content.public_keys.map((entry) => objectOrNone(entry)?.public_key)
    : []
  return new Set([content.public_key, ...listed].filter((key) => typeof key === 'string'))
}

function objectOrNone(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
}
