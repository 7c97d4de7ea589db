import { z } from 'zod'
import { storableObject } from './encryption-fields.ts'

/** A version of a key backup. Versions are numbers; any other text is a version that does not exist. */
export const backupVersion = z
  .string()
  .min(1)
  .transform((text) => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : 0))

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid: KeyBackupData */
export const sessionKey = z.object({
  first_message_index: count,
  forwarded_count: count,
  is_verified: z.boolean(),
  session_data: storableObject,
})
