import { z } from 'zod'
import type { JsonObject } from '../../../core/pdu.ts'
import { jsonObject } from '../../http/fields.ts'
import type { Session } from '../../http/route.ts'

/** The user's reason for a membership change. */
export const reason = z.string().nullish()

/** Event content whose `reason`, if present, is a string. */
export const contentWithOptionalReason = jsonObject.refine((content) => reason.safeParse(content.reason).success, {
  path: ['reason'],
  message: 'is not a text',
})

/** Returns the content of a member event, with the reason if one was given; nobody reads that of shadow-banned users. */
export function contentWithReason(
  { reason }: { reason?: string | null | undefined },
  { isShadowBanned }: Pick<Session, 'isShadowBanned'>,
): JsonObject {
  return typeof reason === 'string' && !isShadowBanned ? { reason } : {}
}
