import { z } from 'zod'

/** Longer ones cannot be delivered to: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3 */
const address = z.email().max(254)

/**
 * The canonical form of an e-mail address, so that one mailbox is not two; undefined for what is none.
 * https://spec.matrix.org/v1.19/appendices/#3pid-types
 */
export function emailAddress(text: string): string | undefined {
  const lower = text.trim().toLowerCase()
  return address.safeParse(lower).success ? lower : undefined
}
