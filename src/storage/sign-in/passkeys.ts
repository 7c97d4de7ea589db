import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { PasskeyRow } from '../schema/sign-in.ts'

/** Returns the passkeys of a user, the oldest first. */
export async function loadPasskeys(db: Db, userId: UserId): Promise<PasskeyRow[]> {
  const { rows } = await sql<PasskeyRow>`select * from passkeys where user_id = ${userId}
    order by created_ts, credential_id`.execute(db.sql)
  return rows
}

/** Finds a passkey of any user. */
export async function findPasskey(db: Db, credentialId: string): Promise<PasskeyRow | undefined> {
  return db.sql.selectFrom('passkeys').selectAll().where('credential_id', '=', credentialId).executeTakeFirst()
}

/** Adds a passkey; false if it is registered already. */
export async function insertPasskey(tx: Tx, passkey: Omit<PasskeyRow, 'last_used_ts'>): Promise<boolean> {
  const { credential_id, user_id, public_key, counter, transports, name, created_ts } = passkey
  const result = await sql`insert into passkeys
      (credential_id, user_id, public_key, counter, transports, name, created_ts)
    values (${credential_id}, ${user_id}, ${public_key}, ${counter}::bigint, ${transports}, ${name},
      ${created_ts}::bigint)
    on conflict (credential_id) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Notes the use of a passkey and its new counter; false if the passkey was deleted or used since with that counter. */
export async function notePasskeyUse(
  tx: Tx,
  { credentialId, counter, now }: { credentialId: string; counter: number; now: number },
): Promise<boolean> {
  const result = await sql`update passkeys set counter = ${counter}::bigint, last_used_ts = ${now}::bigint
    where credential_id = ${credentialId}
      and (counter < ${counter}::bigint or (counter = 0 and ${counter}::bigint = 0))`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Renames a passkey of a user; false if there is none. */
export async function updatePasskeyName(
  tx: Tx,
  { userId, credentialId, name }: { userId: UserId; credentialId: string; name: string },
): Promise<boolean> {
  const result = await sql`update passkeys set name = ${name}
    where credential_id = ${credentialId} and user_id = ${userId}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Deletes a passkey of a user; false if there is none. */
export async function deletePasskey(tx: Tx, userId: UserId, credentialId: string): Promise<boolean> {
  const result = await sql`delete from passkeys
    where credential_id = ${credentialId} and user_id = ${userId}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}
