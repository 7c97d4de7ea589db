import { readFileSync } from 'node:fs'
import { formatSigningKey, parseSigningKey, type SigningKey, signingKeyFromSeed } from '../core/signing/signing-key.ts'
import type { Db } from '../storage/database.ts'
import { serverSecret } from '../storage/server-secrets.ts'
import type { Random } from './random.ts'

/**
 * This server's signing key: from `file` where there is one (such as Synapse's `signing.key`), otherwise the one in the database, which all
 * processes share; it is made at the first start. Throws a MatrixError when the file is not a key.
 */
export async function loadSigningKey(db: Db, file: string, random: Random): Promise<SigningKey> {
  const text = readIfThere(file) ?? (await serverSecret(db, 'signing_key', () => newKey(random)))
  return parseSigningKey(text)
}

function newKey(random: Random): string {
  return formatSigningKey(signingKeyFromSeed(`a_${random.token(4)}`, random.bytes(32)))
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
