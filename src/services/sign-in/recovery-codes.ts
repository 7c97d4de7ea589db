import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { replaceRecoveryCodes, takeRecoveryCodeHash } from '../../storage/sign-in/recovery-codes.ts'
import { hashToken } from '../users/tokens.ts'

const CODES = 10
/** Base32 in lower case: 16 characters have 80 bits, so that a fast hash protects them. */
const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567'
const LENGTH = 16

/** Gives a user new recovery codes in place of all earlier ones, and returns them in the form to show. */
export async function issueRecoveryCodes(app: Pick<App, 'random'>, tx: Tx, userId: UserId): Promise<string[]> {
  const codes = Array.from({ length: CODES }, () => newCode(app))
  await replaceRecoveryCodes(tx, userId, codes.map(hashToken))
  return codes.map((code) => code.replace(/.{4}(?=.)/g, '$&-'))
}

/** Uses a recovery code as a user typed it; false if it is wrong or was used. */
export function takeRecoveryCode(tx: Tx, userId: UserId, typed: string): Promise<boolean> {
  return takeRecoveryCodeHash(tx, userId, hashToken(asIssued(typed)))
}

function newCode({ random }: Pick<App, 'random'>): string {
  return Array.from(random.bytes(LENGTH), (byte) => LETTERS[byte % LETTERS.length]).join('')
}

/** Codes have none of the digits 0, 1 and 8, which look like letters. */
function asIssued(typed: string): string {
  return typed.toLowerCase().replace(/[\s-]/g, '').replace(/0/g, 'o').replace(/1/g, 'l').replace(/8/g, 'b')
}
