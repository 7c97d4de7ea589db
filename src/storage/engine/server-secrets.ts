import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'

/** The secret text that imported password hashes contain after the password. */
export const PASSWORD_PEPPER = 'password_pepper'
/** The secret, in base64, that Argon2 hashes of the Matrix Authentication Service need. */
export const ARGON2_SECRET = 'argon2_secret'

/**
 * Returns a secret that all processes of this server share. `make` creates its value the first time; of several
 * processes that start together, the first one's value wins.
 */
export async function serverSecret(db: Db, name: string, make: () => string | Promise<string>): Promise<string> {
  const known = await findServerSecret(db, name)
  if (known !== undefined) return known
  await sql`insert into server_secrets (name, value) values (${name}, ${await make()}) on conflict (name) do nothing`.execute(
    db.sql,
  )
  return (await findServerSecret(db, name))!
}

/** Returns such a secret; undefined if there is none yet. */
export async function findServerSecret(db: Db, name: string): Promise<string | undefined> {
  const row = await db.sql.selectFrom('server_secrets').select('value').where('name', '=', name).executeTakeFirst()
  return row?.value
}

/** Replaces the value of such a secret. */
export async function replaceServerSecret(tx: Tx, name: string, value: string): Promise<void> {
  await sql`insert into server_secrets (name, value) values (${name}, ${value})
    on conflict (name) do update set value = excluded.value`.execute(tx.sql)
}
