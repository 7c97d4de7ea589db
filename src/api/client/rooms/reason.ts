import { z } from 'zod'
import type { JsonObject } from '../../../core/pdu.ts'
import { jsonObject } from '../../http/fields.ts'

/** Why a membership changes, in the user's own words. */
export const reason = z.string().nullish()

/** An event's content in which the reason, if there is one, is a text. */
export const contentWithOptionalReason = jsonObject.refine((content) => reason.safeParse(content.reason).success, {
  path: ['reason'],
  message: 'is not a text',
})

/** The content of a member event that bears the reason, if one was given. */
export function contentWithReason(body: { reason?: string | null | undefined }): JsonObject {
  return typeof body.reason === 'string' ? { reason: body.reason } : {}
}
