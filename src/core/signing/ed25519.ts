/** What both builds of libsodium offer. Throws where the parts have other lengths than they should. */
type Verifier = (signature: Buffer, data: Buffer, publicKey: Buffer) => boolean

export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

const verifyDetached = await loadSodium()

/**
 * Whether an Ed25519 signature is of some bytes and a public key; false where a part has not the length that it should. By libsodium, as in Synapse:
 * servers that take different signatures for good have different rooms, and implementations differ about keys that nobody makes honestly.
 */
export function isSignedBy(publicKey: Buffer, data: Buffer, signature: Buffer): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  return verifyDetached(signature, data, publicKey)
}

/** The machine's own code, twice as fast as OpenSSL's, or where there is none for the machine (as with musl) the same in WebAssembly, as fast as OpenSSL's. */
async function loadSodium(): Promise<Verifier> {
  try {
    const { default: sodium } = await import('sodium-native')
    return sodium.crypto_sign_verify_detached
  } catch {
    return loadSodiumAnywhere()
  }
}

/** The build that runs on every machine. */
export async function loadSodiumAnywhere(): Promise<Verifier> {
  const { default: sodium } = await import('libsodium-wrappers')
  await sodium.ready
  return sodium.crypto_sign_verify_detached
}
