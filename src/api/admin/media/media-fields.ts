/** Returns a hash as administrators and their tools write it. */
export function hexOf(sha256: string): string {
  return Buffer.from(sha256, 'base64url').toString('hex')
}
