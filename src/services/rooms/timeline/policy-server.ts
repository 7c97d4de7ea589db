import { verifyEventSignature } from '../../../core/events/verify-event.ts'
import { isServerName, type ServerName } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { isServerInRoom } from '../../../storage/rooms/membership/room-servers.ts'
import { headOf, type LockedRoom, readLockedState, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'

/** The server that a room has chosen to check its events, and the key by which it approves of them (Base64). */
export type PolicyServer = { via: ServerName; publicKey: string }

/** Where a room says so: today, and in the drafts of MSC4284, whose rooms there still are. */
const POLICY_TYPES = ['m.room.policy', 'org.matrix.msc4284.policy']

/** Of every policy server. */
export const POLICY_KEY_ID = 'ed25519:policy_server'

/**
 * An event that needs the approval of its room's policy server and does not have it. Nothing was changed: who asks that
 * server, outside of the transaction, may try again.
 */
export class PolicySignatureNeeded extends Error {
  readonly policyServer: PolicyServer
  readonly version: RoomVersion
  readonly event: Event
  constructor(policyServer: PolicyServer, version: RoomVersion, event: Event) {
    super(`${event.event_id} needs a signature of ${policyServer.via}`)
    this.policyServer = policyServer
    this.version = version
    this.event = event
  }
}

/**
 * The policy server that has to approve of an event by a room's current state; undefined when none does. Where that is
 * this server's own name, others ask: it does not ask itself.
 * https://spec.matrix.org/v1.19/server-server-api/#determining-if-a-policy-server-is-enabled-in-a-room
 */
async function policyServerFor(
  room: LockedRoom,
  { type, state_key }: Pick<Pdu, 'type'> & { state_key?: string | undefined },
): Promise<PolicyServer | undefined> {
  // The policy server is another one.
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

/** Whether a policy server has signed an event. */
export function hasPolicySignature(version: RoomVersion, pdu: Pdu, { via, publicKey }: PolicyServer): boolean {
  return verifyEventSignature(version, pdu, via, POLICY_KEY_ID, publicKey)
}
