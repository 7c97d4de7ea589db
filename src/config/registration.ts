import { z } from 'zod'
import { captcha } from './captcha.ts'
import { patterns } from './patterns.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#terms-of-service-at-registration */
const policy = z.strictObject({
  id: z.string().regex(/^[a-zA-Z0-9_.-]+$/, "expected a name such as 'privacy_policy'"),
  version: z.string().min(1),
  name: z.string().min(1),
  url: z.url('expected a URL'),
  language: z
    .string()
    .regex(/^[a-z]{2,3}(-[A-Za-z0-9-]+)?$/, "expected a language such as 'en'")
    .prefault('en'),
})

/** The section `registration`. */
export const registration = z
  .strictObject({
    enabled: z.boolean().prefault(false).describe('Whether anyone may register an account from a client.'),
    requires_token: z
      .boolean()
      .prefault(false)
      .describe('Whether registration requires a token, which an administrator creates.'),
    requires_email: z
      .boolean()
      .prefault(false)
      .describe('Whether registration requires a confirmed e-mail address; needs the section email.'),
    requires_phone: z
      .boolean()
      .prefault(false)
      .describe('Whether registration requires a confirmed phone number; needs the section phone.'),
    captcha,
    blocked_names: patterns.describe(
      "Names that nobody may register, as patterns for the part of a user id before the colon: '*' stands for any text, '?' for one character, such as [admin, '*support*']. Administrators and application services can create such accounts.",
    ),
    terms: z
      .array(policy)
      .prefault([])
      .describe(
        'Documents that a new user must accept: {id: privacy_policy, version: "1.0", name: Privacy policy, url: "https://example.org/privacy-1.0.html", language: en}. One id may have several languages.',
      ),
    shared_secret: z.string().min(1).optional().meta({
      description:
        'Tools with this secret can register accounts at /_synapse/admin/v1/register even if registration is disabled. Absent: Hearth creates one in data_dir/registration.secret for its own commands.',
      example: 'a long random text',
    }),
    guests: z
      .boolean()
      .prefault(false)
      .describe('Whether guests (users without an account) may read rooms that allow it.'),
  })
  .prefault({})
  .describe('Registration of accounts. The command hearth user create always works.')
