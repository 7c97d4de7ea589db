import { parseSigningKey } from '../../core/signing/signing-key.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { PASSWORD_PEPPER } from '../../storage/engine/server-secrets.ts'
import { SIGNING_KEY_SECRET } from '../../storage/federation/own-keys.ts'
import { continueNumbers, passImportedEvents } from '../../storage/import/continue-numbers.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { type ImportContext, type ImportStep, integerOf, rowStep, singleStep, textOf } from './import-step.ts'

/** The first line of Synapse's key file signs; the others were replaced. */
const ownKeys = singleStep(
  'signing keys',
  async ({ synapse: { signingKeys, oldSigningKeys, pepper, usesMas }, extent, now }) => {
    const [current, ...replaced] = signingKeys.map(parseSigningKey)
    const keys = [
      { key_id: current!.keyId, public_key: current!.publicKey, expired_ts: null },
      ...oldSigningKeys.map(({ keyId, publicKey, expiredTs }) => ({
        key_id: keyId,
        public_key: publicKey,
        expired_ts: expiredTs,
      })),
      ...replaced.map(({ keyId, publicKey }) => ({ key_id: keyId, public_key: publicKey, expired_ts: now })),
    ]
    const secrets = [
      { name: SIGNING_KEY_SECRET, value: `${signingKeys[0]!.trim()}\n` },
      ...(pepper === '' || usesMas ? [] : [{ name: PASSWORD_PEPPER, value: pepper }]),
    ]
    return {
      read: keys.length,
      async write(tx: Tx) {
        await continueNumbers(tx, {
          nid: extent.lastOrdering + extent.nidShift,
          position: extent.lastPosition,
          activity: extent.lastOrdering,
        })
        await passImportedEvents(tx, extent.lastPosition)
        await insertRows(tx, 'server_secrets', secrets)
        return insertRows(tx, 'own_keys', keys)
      },
    }
  },
)

type ServerKeyRow = {
  server_name: string
  key_id: string
  ts_added_ms: number
  key_json: string | Uint8Array
}

type KeyResponse = {
  valid_until_ts?: number
  verify_keys?: Record<string, { key: string }>
  old_verify_keys?: Record<string, { key: string; expired_ts: number }>
}

/** Keys of servers that are gone verify their old events. */
const serverKeys = rowStep<ServerKeyRow>({
  name: 'keys of other servers',
  columns: 'keys.server_name, keys.key_id, ts_added_ms, key_json',
  from: 'server_keys_json as keys',
  // Of several answers with a key, the one that counts longest.
  where: `from_server = (select from_server from server_keys_json as same where same.server_name = keys.server_name
    and same.key_id = keys.key_id order by ts_valid_until_ms desc, from_server limit 1)`,
  key: ['keys.server_name', 'keys.key_id'],
  size: 200,
  store: (tx, rows, context) =>
    insertRows(
      tx,
      'server_keys',
      rows.flatMap((row) => serverKey(row, context)),
    ),
})

function serverKey(row: ServerKeyRow, { serverName }: ImportContext) {
  if (row.server_name === serverName) return []
  const response = textOf(row.key_json)
  const { valid_until_ts, verify_keys = {}, old_verify_keys = {} } = JSON.parse(response) as KeyResponse
  const old = old_verify_keys[row.key_id]
  const key = verify_keys[row.key_id] ?? old
  if (!key) return []
  return {
    server_name: row.server_name,
    key_id: row.key_id,
    public_key: key.key,
    valid_until_ts: integerOf(key === old ? old.expired_ts : valid_until_ts),
    retired: key === old,
    fetched_ts: row.ts_added_ms,
    response,
  }
}

/** The server's own keys, and those of other servers. */
export const SERVER_STEPS: readonly ImportStep[] = [ownKeys, serverKeys]
