import { z } from 'zod'

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
    enabled: z.boolean().prefault(false).describe('Whether people may register accounts themselves, in a client.'),
    requires_token: z
      .boolean()
      .prefault(false)
      .describe('Whether those who register need a registration token, which an administrator makes for them.'),
    requires_email: z
      .boolean()
      .prefault(false)
      .describe('Whether those who register have to prove an e-mail address; needs the section email.'),
    terms: z
      .array(policy)
      .prefault([])
      .describe(
        'Documents that those who register have to accept: {id: privacy_policy, version: "1.0", name: Privacy policy, url: "https://example.org/privacy-1.0.html", language: en}. The same id may come in several languages.',
      ),
    shared_secret: z.string().min(1).optional().meta({
      description:
        'With this secret, tools register accounts at /_synapse/admin/v1/register even while registration is disabled. Absent: Hearth makes one in data_dir/registration.secret, for its own create-user command.',
      example: 'a long random text',
    }),
    guests: z
      .boolean()
      .prefault(false)
      .describe('Whether guests may look around in rooms that allow it, without an account.'),
  })
  .prefault({})
  .describe('Who may make accounts. There is always: hearth create-user.')
