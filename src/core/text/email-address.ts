import { z } from 'zod'
import { foldCase } from './fold-case.ts'

declare const brand: unique symbol
/** An e-mail address in its canonical form: two texts that mean one mailbox are one address. */
export type EmailAddress = string & { readonly [brand]: 'EmailAddress' }

/** Longer ones cannot be delivered to: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3 */
const address = z.email().max(254)

/**
 * Returns the canonical form of an e-mail address: without blanks around it and case-folded. Undefined for a text that
 * is no address. https://spec.matrix.org/v1.19/appendices/#3pid-types
 */
export function parseEmailAddress(text: string): EmailAddress | undefined {
  const folded = foldCase(text.trim())
  return address.safeParse(folded).success ? (folded as EmailAddress) : undefined
}

/** Returns the canonical form of a third-party address, if its medium has one. */
export function canonicalAddress({ medium, address }: { medium: string; address: string }): string {
  return medium === 'email' ? (parseEmailAddress(address) ?? address) : address
}
