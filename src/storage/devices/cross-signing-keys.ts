import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { CrossSigningKeyRow, CrossSigningSignatureRow } from '../schema/devices.ts'
import { noteDeviceListChange } from './device-lists.ts'

/** Stores cross-signing keys, which replace those with the same usage; signatures by replaced keys are deleted. */
export async function storeCrossSigningKeys(
  tx: Tx,
  userId: UserId,
  keys: readonly Omit<CrossSigningKeyRow, 'user_id'>[],
): Promise<void> {
  const usages = keys.map((key) => key.usage)
  await sql`delete from cross_signing_signatures using cross_signing_keys old
    where old.user_id = ${userId} and old.usage = any(${usages}::text[]) and signer = ${userId}
      and signing_key_id = 'ed25519:' || old.public_key`.execute(tx.sql)
  await sql`insert into cross_signing_keys (user_id, usage, public_key, key_json)
    select ${userId}, usage, public_key, key_json from unnest(${usages}::text[],
      ${keys.map((key) => key.public_key)}::text[], ${keys.map((key) => key.key_json)}::text[])
      as keys(usage, public_key, key_json)
    on conflict (user_id, usage) do update set public_key = excluded.public_key, key_json = excluded.key_json`.execute(
    tx.sql,
  )
  noteDeviceListChange(tx, userId, 'cross_signing')
}

/** Deletes a user's cross-signing keys, and all signatures by the user. */
export async function deleteCrossSigningKeys(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('cross_signing_signatures').where('signer', '=', userId).execute()
  const result = await sql`delete from cross_signing_keys where user_id = ${userId}`.execute(tx.sql)
  if (result.numAffectedRows !== 0n) noteDeviceListChange(tx, userId, 'cross_signing')
}

/** Returns the cross-signing keys of some users. */
export async function loadCrossSigningKeys(db: Db, userIds: readonly UserId[]): Promise<CrossSigningKeyRow[]> {
  const { rows } = await sql<CrossSigningKeyRow>`select * from cross_signing_keys
    where user_id = any(${userIds}::text[])`.execute(db.sql)
  return rows
}

/** Stores signatures; existing ones are replaced. Notifies the signer's devices, or all users who track them. */
export async function storeSignatures(tx: Tx, signatures: readonly CrossSigningSignatureRow[]): Promise<void> {
  if (signatures.length === 0) return
  const column = (pick: (row: CrossSigningSignatureRow) => string): string[] => signatures.map(pick)
  await sql`insert into cross_signing_signatures (signer, signing_key_id, target_user_id, target_key, signature)
    select * from unnest(${column((row) => row.signer)}::text[], ${column((row) => row.signing_key_id)}::text[],
      ${column((row) => row.target_user_id)}::text[], ${column((row) => row.target_key)}::text[],
      ${column((row) => row.signature)}::text[])
    on conflict (target_user_id, target_key, signer, signing_key_id) do update
      set signature = excluded.signature`.execute(tx.sql)
  for (const { signer, target_user_id } of signatures) {
    noteDeviceListChange(tx, signer, signer === target_user_id ? 'cross_signing' : `signatures ${target_user_id}`)
  }
}

/** Returns the signatures of these users' keys that `viewer` may see: the owners' and the viewer's. */
export async function loadSignatures(
  db: Db,
  userIds: readonly UserId[],
  viewer: UserId | undefined,
): Promise<CrossSigningSignatureRow[]> {
  const { rows } = await sql<CrossSigningSignatureRow>`select * from cross_signing_signatures
    where target_user_id = any(${userIds}::text[]) and (signer = target_user_id or signer = ${viewer ?? ''})`.execute(
    db.sql,
  )
  return rows
}
