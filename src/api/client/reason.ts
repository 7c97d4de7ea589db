import { z } from 'zod'
import type { JsonObject } from '../../core/events/pdu.ts'

/** Why a membership changes, in the user's own words. */
export const reason = z.string().nullish()

/** The content of a member event that bears the reason, if one was given. */
export function contentWithReason(body: { reason?: string | null | undefined }): JsonObject {
  return typeof body.reason === 'string' ? { reason: body.reason } : {}
}
