import { z } from 'zod'
import type { ProviderConfig } from '../../config.ts'
import { isStorableName } from '../../core/ids.ts'
import { fillTemplate } from '../../core/text/claim-template.ts'
import { parseEmailAddress } from '../../core/text/email-address.ts'
import { UpstreamError, type UpstreamIdentity } from '../../infra/sign-in/upstream-provider.ts'
import { storableText } from '../../storage/engine/storable-text.ts'

/** The claims of an identity provider about a person, by the templates of the configuration. */
export type UpstreamPerson = z.output<typeof person>

const person = z.object({
  subject: z.string(),
  sid: z.string().optional(),
  /** By which the person recognises the account at the provider. */
  label: z.string(),
  /** The name that an account here gets; it may be impossible. */
  localpart: z.string().optional(),
  displayName: z.string().optional(),
  /** Only a confirmed address. */
  email: z.string().optional(),
})

const MAX_LABEL = 255
/** An index entry has at most 2,704 bytes. OpenID Connect permits 255. */
const MAX_NAME_BYTES = 1024

/** Whether a provider's permanent name of a person or of a session can be stored and looked up. */
export function isUpstreamName(name: string): boolean {
  return name !== '' && isStorableName(name, MAX_NAME_BYTES)
}

/** Applies the templates of a provider. Throws UpstreamError for a subject or session that no look-up could find. */
export function personOf(config: ProviderConfig, { subject, sid, claims }: UpstreamIdentity): UpstreamPerson {
  if (!isUpstreamName(subject) || (sid && !isUpstreamName(sid)))
    throw new UpstreamError('invalid', 'The name of the person or session is empty, too long, or cannot be stored')
  const { attributes, trust_email } = config
  const address = fillTemplate(attributes.email, claims)
  // `email_verified` is about the claim `email` only.
  const isConfirmed = trust_email || (attributes.email === '{email}' && claims.email_verified === true)
  const localpart = fillTemplate(attributes.localpart, claims)?.toLowerCase()
  const displayName = fillTemplate(attributes.display_name, claims)
  const label = storableText((address ?? localpart ?? displayName ?? subject).slice(0, MAX_LABEL))
  const email = isConfirmed && address !== undefined ? parseEmailAddress(address) : undefined
  return { subject, label, ...(sid && { sid }), localpart, displayName, email }
}

/** Reads a person as `upstream_requests.identity` keeps it. */
export function parsePerson(json: string): UpstreamPerson {
  return person.parse(JSON.parse(json))
}
