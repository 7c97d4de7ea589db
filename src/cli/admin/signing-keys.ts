import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { defineCommand } from '../command.ts'
import { ADMIN_OPTIONS } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { columns, print, time } from './print.ts'

const PATH = hearthV1('/signing_keys')

/** `expired_ts` is null for the key in use, and in the future for the one before it while it is still valid. */
type Answer = { signing_keys: { key_id: string; public_key: string; expired_ts: number | null }[] }

export const listSigningKeysCommand = defineCommand({
  about: 'Lists the keys with which this server signs or signed events and requests, without their secrets.',
  options: ADMIN_OPTIONS,
  examples: [['signing-key list', 'which key is in use']],
  async run({ config: configFile, json }) {
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) => request<Answer>('GET', PATH))
    print(list, { json, describe: describeKeys })
    return 0
  },
})

export const rotateSigningKeyCommand = defineCommand({
  about:
    'Replaces the signing key by a new one in the database. Running processes use it at once. A key file is no longer used. The old key stays published, so that its events can be verified.',
  options: ADMIN_OPTIONS,
  examples: [['signing-key rotate', 'when somebody may have read the key']],
  async run({ config: configFile, json }) {
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<Answer>('POST', `${PATH}/rotate`),
    )
    print(list, { json, describe: describeKeys })
    return 0
  },
})

function describeKeys({ signing_keys }: Answer): string {
  const rows = signing_keys.map(({ key_id, public_key, expired_ts }) => [
    ...[key_id, public_key, expired_ts === null ? 'in use' : expired_ts > Date.now() ? 'valid until' : 'old since'],
    time(expired_ts),
  ])
  return columns(['key', 'public key', 'state', 'time'], rows)
}
