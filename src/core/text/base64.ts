/** Unpadded Base64, as keys, hashes and signatures are written: https://spec.matrix.org/v1.19/appendices/#unpadded-base64 */
export function encodeBase64(bytes: Uint8Array): string {
  return withoutPadding(asBuffer(bytes).toString('base64'))
}

/** URL-safe unpadded Base64, as event ids are written since room version 4: https://spec.matrix.org/v1.19/appendices/#url-safe-unpadded-base64 */
export function encodeBase64Url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64url')
}

/** The bytes of Base64 in either alphabet, padded or not; `undefined` if it is not Base64. */
export function decodeBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) return undefined
  // A single character left over would be six bits of a byte.
  return withoutPadding(text).length % 4 === 1 ? undefined : Buffer.from(text, 'base64')
}

function withoutPadding(text: string): string {
  return text.replace(/={1,2}$/, '')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
