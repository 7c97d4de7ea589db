import { z } from 'zod'
import { duration } from './units.ts'

const ldapUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^ldaps?:$/.test(new URL(text).protocol),
    "expected a URL such as 'ldaps://ldap.example.org'",
  )

const dn = z.string().regex(/=/, "expected a distinguished name such as 'ou=people,dc=example,dc=org'")
const attribute = z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, "expected the name of an attribute, such as 'uid'")
const filter = z.string().regex(/^\(.*\)$/s, "expected a filter in parentheses, such as '(uid={localpart})'")

const withLocalpart = (text: string) => text.includes('{localpart}')
const NO_LOCALPART = 'expected {localpart} where the name that the user types belongs'

const attributes = z
  .strictObject({
    localpart: attribute
      .prefault('uid')
      .describe('Becomes the part of the user id before the colon, in lower case; sAMAccountName in Active Directory.'),
    display_name: attribute.prefault('cn').describe('The display name of a new account.'),
    email: attribute.prefault('mail').describe('The e-mail address of a new account.'),
  })
  .prefault({})
  .describe('The attributes of an entry that Hearth reads.')

/** The section `ldap`. */
export const ldap = z
  .strictObject({
    url: ldapUrl.optional().meta({
      description:
        'The directory; ldaps:// for TLS from the start. Absent: Hearth asks no directory, and its accounts cannot sign in.',
      example: 'ldaps://ldap.example.org',
    }),
    start_tls: z
      .boolean()
      .prefault(true)
      .describe('Whether to start TLS on an ldap:// connection. Without TLS, passwords can be read on the network.'),
    ca: z.string().min(1).optional().meta({
      description:
        'A PEM file with the certificate authority of the directory, trusted in addition to the usual ones and to federation.trusted_certificates.',
      example: '/etc/ssl/ldap-ca.pem',
    }),
    bind_dn: dn.optional().meta({
      description: 'The entry as which Hearth searches. Absent: it searches anonymously.',
      example: 'cn=hearth,ou=services,dc=example,dc=org',
    }),
    bind_password: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The password of that entry.', example: 'a long random text' }),
    base: dn.optional().meta({
      description: 'Where Hearth searches for the entries of users. Needed unless user_dn is set.',
      example: 'ou=people,dc=example,dc=org',
    }),
    filter: filter
      .refine(withLocalpart, NO_LOCALPART)
      .prefault('(uid={localpart})')
      .describe(
        'Finds the entry of a user. {localpart}: the name that the user types. To admit e-mail addresses too: (|(uid={localpart})(mail={localpart})).',
      ),
    user_dn: dn.refine(withLocalpart, NO_LOCALPART).optional().meta({
      description:
        'The distinguished name of a user. If set, Hearth searches for nobody: it signs in to the directory with this name and the password, and reads the entry as the user.',
      example: 'uid={localpart},ou=people,dc=example,dc=org',
    }),
    attributes,
    new_accounts: z
      .boolean()
      .prefault(true)
      .describe('Whether a user of the directory without an account gets one at the first sign-in.'),
    new_accounts_filter: filter.optional().meta({
      description: 'A filter that an entry must match to get an account. Existing accounts are not checked.',
      example: '(memberOf=cn=matrix,ou=groups,dc=example,dc=org)',
    }),
    on_conflict: z
      .enum(['refuse', 'link'])
      .prefault('refuse')
      .describe(
        'An account of the same name that is not of the directory. refuse: it keeps its own password, and the user of the directory cannot sign in. link: the first sign-in with the password of the directory makes it an account of the directory.',
      ),
    timeout: duration
      .prefault('10s')
      .describe('The time for all requests of one sign-in to the directory, and for the wait for a connection.'),
    max_connections: z.int().positive().prefault(10).describe('Connections of each process to the directory.'),
  })
  .refine(({ url, base, user_dn }) => url === undefined || base !== undefined || user_dn !== undefined, {
    message: 'url needs base, or user_dn',
    path: ['base'],
  })
  .refine(({ bind_dn, bind_password }) => (bind_dn === undefined) === (bind_password === undefined), {
    message: 'bind_dn and bind_password need each other',
    path: ['bind_password'],
  })
  .prefault({})
  .describe('An LDAP directory, such as OpenLDAP or Active Directory, that checks the passwords of its users.')
