/** What a state event counts for beside itself, by category of rate limits: members can be invited, and rooms joined, by sending the member event. */
export function membershipCounts(type: string, membership: unknown): { invite?: number; join?: number } {
  if (type !== 'm.room.member') return {}
  if (membership === 'invite') return { invite: 1 }
  return membership === 'join' ? { join: 1 } : {}
}
