/**
 * Returns the further rate-limit categories that a state event counts for: sending a member event can invite or join.
 */
export function membershipCounts(type: string, membership: unknown): { invite?: number; join?: number } {
  if (type !== 'm.room.member') return {}
  if (membership === 'invite') return { invite: 1 }
  return membership === 'join' ? { join: 1 } : {}
}
