import { z } from 'zod'
import { deviceId } from '../../http/fields.ts'

/** The fields of a login or registration about the new session. Some clients, such as Ketesa, send null for absent ones. */
export const newSession = z.object({
  device_id: orNull(deviceId),
  initial_device_display_name: orNull(z.string().max(255)),
  refresh_token: orNull(z.boolean()),
})

function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined)
}
