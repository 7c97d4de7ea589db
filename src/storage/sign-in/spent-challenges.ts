import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'

/** Spends a challenge; false if it was spent before. Deletes those that have expired by `now`. */
export async function spendChallengeHash(
  tx: Tx,
  { challengeHash, expiresTs, now }: { challengeHash: string; expiresTs: number; now: number },
): Promise<boolean> {
  await tx.sql.deleteFrom('spent_challenges').where('expires_ts', '<=', now).execute()
  const result = await sql`insert into spent_challenges (challenge_hash, expires_ts)
    values (${challengeHash}, ${expiresTs}::bigint) on conflict (challenge_hash) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}
