import { z } from 'zod'
import { isClaimTemplate } from '../core/text/claim-template.ts'
import { withoutTrailingSlashes } from '../core/text/trailing-slashes.ts'

const template = z
  .string()
  .refine(isClaimTemplate, "expected a template such as '{preferred_username}' or '{email|localpart}'")

/** Where a provider says what a new account gets. */
const attributes = (defaults: { localpart: string; display_name: string; email: string }) =>
  z
    .strictObject({
      localpart: template.prefault(defaults.localpart),
      display_name: template.prefault(defaults.display_name),
      email: template.prefault(defaults.email),
    })
    .prefault({})

const httpUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    "expected a URL such as 'https://id.example.org'",
  )

/** The keys of every kind of provider. */
const anyProvider = {
  // It is part of paths, and of the rows that link accounts.
  id: z.string().regex(/^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}$/, 'expected letters, digits and the characters . _ ~ -'),
  name: z.string().min(1).max(100),
  icon: z.string().startsWith('mxc://', "expected a URL such as 'mxc://example.org/abc'").optional(),
  brand: z.string().min(1).max(255).optional(),
  on_conflict: z.enum(['ask_password', 'link', 'refuse']).prefault('ask_password'),
  may_register: z.boolean().prefault(true),
  choose_name: z.boolean().prefault(false),
  trust_email: z.boolean().prefault(false),
}

const oidcProvider = z.strictObject({
  kind: z.literal('oidc'),
  ...anyProvider,
  issuer: httpUrl,
  client_id: z.string().min(1),
  client_secret: z.string().min(1).optional(),
  client_secret_file: z.string().min(1).optional(),
  client_authentication: z
    .enum(['client_secret_basic', 'client_secret_post', 'client_secret_jwt'])
    .prefault('client_secret_basic'),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope, without spaces'))
    .prefault(['openid', 'profile', 'email'])
    .refine((scopes) => scopes.includes('openid'), 'openid is missing'),
  backchannel_logout: z.enum(['browser', 'devices', 'ignore']).prefault('browser'),
  attributes: attributes({ localpart: '{preferred_username}', display_name: '{name}', email: '{email}' }),
})

const casProvider = z.strictObject({
  kind: z.literal('cas'),
  ...anyProvider,
  server_url: httpUrl.transform(withoutTrailingSlashes),
  attributes: attributes({ localpart: '{user}', display_name: '{displayName}', email: '{mail}' }),
})

/** The key `identity_providers`. */
export const identityProviders = z
  .array(z.discriminatedUnion('kind', [oidcProvider, casProvider]))
  .prefault([])
  .meta({
    description:
      "Services outside of Hearth where users sign in, in the order of the sign-in page; docs/identity-providers.md describes each key. OpenID Connect: {kind: oidc, id: company, name: Example company, issuer: 'https://id.example.org', client_id: hearth, client_secret_file: /etc/hearth/company.secret}. CAS: {kind: cas, id: campus, name: Campus, server_url: 'https://cas.example.org/cas'}. Optional: attributes ({localpart: '{preferred_username}', display_name: '{name}', email: '{email}'}: templates of the provider's claims), on_conflict (what happens if the name or the confirmed e-mail address already has an account: ask_password, link or refuse), may_register (whether new users get an account: true), choose_name (whether they choose its name: false), trust_email (whether addresses count as confirmed even if the provider does not say so: false), icon, brand; OpenID Connect only: scopes, client_authentication, backchannel_logout (what a sign-out at the provider ends: browser, devices too, or ignore).",
  })

export type ParsedProvider = z.output<typeof identityProviders>[number]
type ParsedOidc = Extract<ParsedProvider, { kind: 'oidc' }>

/** A provider of OpenID Connect; a public client has no secret. */
export type OidcProviderConfig = Omit<ParsedOidc, 'client_secret' | 'client_secret_file'> & {
  client_secret: string | undefined
}
export type CasProviderConfig = Extract<ParsedProvider, { kind: 'cas' }>
export type ProviderConfig = OidcProviderConfig | CasProviderConfig
