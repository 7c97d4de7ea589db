import { z } from 'zod'

const client = z
  .string()
  .refine((text) => URL.canParse(text), "expected a URL such as 'https://app.example.org' or 'org.example.app:/'")

/** The section `sign_in`. */
export const signIn = z
  .strictObject({
    passwords: z
      .enum(['first', 'last', 'hidden', 'disabled'])
      .prefault('first')
      .describe(
        'Where the sign-in page asks for a password if there are identity_providers. first: above them. last: below them. hidden: behind a link; a single provider is then opened at once. disabled: nobody signs in with a password, also not by /login.',
      ),
    trusted_clients: z
      .array(client)
      .prefault([])
      .describe(
        "Web clients, such as 'https://app.example.org', and apps by the scheme of their URLs, such as 'org.example.app:/', to which m.login.sso returns without a question. Other clients are named on a page, where the user agrees.",
      ),
  })
  .prefault({})
  .describe('How people sign in.')
