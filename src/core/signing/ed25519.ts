/** The function that both builds of libsodium provide. Throws if an argument has the wrong length. */
type Verifier = (signature: Buffer, data: Buffer, publicKey: Buffer) => boolean

export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

const verifyDetached = await loadSodium()

/**
 * Verifies an Ed25519 signature; false if an argument has the wrong length. Uses libsodium, as Synapse does:
 * implementations differ about malicious keys, and servers that disagree about signatures have different room states.
 */
export function isSignedBy(publicKey: Buffer, data: Buffer, signature: Buffer): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  return verifyDetached(signature, data, publicKey)
}

/**
 * Loads the native build, twice as fast as OpenSSL, or WebAssembly if there is no native build (as with musl), as fast
 * as OpenSSL.
 */
async function loadSodium(): Promise<Verifier> {
  try {
    const { default: sodium } = await import('sodium-native')
    return sodium.crypto_sign_verify_detached
  } catch {
    return loadSodiumAnywhere()
  }
}

/** Loads the WebAssembly build, which runs on every machine. */
export async function loadSodiumAnywhere(): Promise<Verifier> {
  const { default: sodium } = await import('libsodium-wrappers')
  await sodium.ready
  return sodium.crypto_sign_verify_detached
}
