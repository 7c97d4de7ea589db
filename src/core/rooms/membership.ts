/** https://spec.matrix.org/v1.19/client-server-api/#mroommember */
export type Membership = 'join' | 'invite' | 'leave' | 'ban' | 'knock'

/** Whether a member is in the room, invited to it or knocking on it. */
export function isPresent(membership: Membership): boolean {
  return membership !== 'leave' && membership !== 'ban'
}
