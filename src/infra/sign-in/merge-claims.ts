import type { Claims } from '../../core/text/claim-template.ts'

/**
 * Returns the claims of an ID token with those of the userinfo endpoint, which count more. `email_verified` is about the
 * address beside it: that of the ID token says nothing about another address.
 */
export function mergeClaims(idToken: Claims, userInfo: Claims): Claims {
  const isOther = userInfo.email !== undefined && userInfo.email !== idToken.email
  return { ...idToken, ...(isOther && { email_verified: undefined }), ...userInfo }
}
