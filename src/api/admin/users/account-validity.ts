import { z } from 'zod'
import { setAccountValidity } from '../../../services/users/account-validity.ts'
import { userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { v1 } from '../admin-fields.ts'

/** The last moment that JavaScript can write as a date. */
const LATEST_DATE = 8_640_000_000_000_000

/**
 * Renews an account, or sets when it expires, in the form of Synapse's admin API:
 * https://element-hq.github.io/synapse/latest/admin_api/account_validity.html
 */
export const postAccountValidity = route({
  method: 'POST',
  path: v1('/account_validity/validity'),
  auth: 'admin',
  body: z.object({
    user_id: userId,
    expiration_ts: z.int().min(0).max(LATEST_DATE).optional(),
    enable_renewal_emails: z.boolean().default(true),
  }),
  async handle({ body: { user_id, expiration_ts: until, enable_renewal_emails: mails } }, app) {
    return { expiration_ts: await setAccountValidity(app, { userId: user_id, until, mails }) }
  },
})
