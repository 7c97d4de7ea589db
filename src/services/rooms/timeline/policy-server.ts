import { verifyEventSignature } from '../../../core/events/verify-event.ts'
import { isServerName, type ServerName } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { isServerInRoom } from '../../../storage/rooms/membership/room-servers.ts'
import { headOf, type LockedRoom, readLockedState, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { ApprovalNeeded } from './approval-needed.ts'

/** A room's policy server, and the key with which it approves events (Base64). */
export type PolicyServer = { via: ServerName; publicKey: string }

/** The specified type, and that of MSC4284's drafts, which existing rooms use. */
const POLICY_TYPES = ['m.room.policy', 'org.matrix.msc4284.policy']

/** The key ID of every policy server. */
export const POLICY_KEY_ID = 'ed25519:policy_server'

/** Thrown for an event that needs the signature of its room's policy server. */
export class PolicySignatureNeeded extends ApprovalNeeded {
  readonly policyServer: PolicyServer
  constructor(policyServer: PolicyServer, version: RoomVersion, event: Event) {
    super(version, event, `a signature of ${policyServer.via}`)
    this.policyServer = policyServer
  }
}

/**
 * Returns the policy server that has to approve an event by the room's current state; undefined if none does. A policy
 * server does not ask itself.
 * https://spec.matrix.org/v1.19/server-server-api/#determining-if-a-policy-server-is-enabled-in-a-room
 */
async function policyServerFor(
  room: LockedRoom,
  { type, state_key }: Pick<Pdu, 'type'> & { state_key?: string | undefined },
): Promise<PolicyServer | undefined> {
  // The policy server is always another server.
  if (!room.head || !room.hasOtherServers || (POLICY_TYPES.includes(type) && state_key === '')) return undefined
  const keys = POLICY_TYPES.map((policyType) => ({ type: policyType, state_key: '' }))
  const [policy, draft] = await readLockedState(room, keys)
  const chosen = policy ?? draft
  if (!chosen) return undefined
  const { via, public_keys, public_key } = chosen.pdu.content
  const publicKey = policy ? (public_keys as { ed25519?: unknown } | null | undefined)?.ed25519 : public_key
  if (typeof via !== 'string' || typeof publicKey !== 'string' || !isServerName(via)) return undefined
  return (await isServerInRoom(room.db, roomIdOf(room), via)) ? { via, publicKey } : undefined
}

/**
 * Throws PolicySignatureNeeded unless the room's policy server, if it has one, has signed an event.
 * https://spec.matrix.org/v1.19/server-server-api/#validating-policy-server-signatures
 */
export async function requirePolicySignature(room: LockedRoom, event: Event): Promise<void> {
  const policyServer = await policyServerFor(room, event.pdu)
  if (!policyServer) return
  const { version } = headOf(room)
  if (!hasPolicySignature(version, event.pdu, policyServer))
    throw new PolicySignatureNeeded(policyServer, version, event)
}

/** Returns whether a policy server has signed an event. */
export function hasPolicySignature(version: RoomVersion, pdu: Pdu, { via, publicKey }: PolicyServer): boolean {
  return verifyEventSignature(version, pdu, via, POLICY_KEY_ID, publicKey)
}
