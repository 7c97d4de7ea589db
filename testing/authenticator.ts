import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

/** The options of `navigator.credentials` as JSON, as the pages of the server give them to a browser. */
export type CredentialOptions = {
  challenge: string
  rp?: { id: string }
  rpId?: string
  user?: { id: string }
  allowCredentials?: readonly { id: string }[]
}

/** A passkey of the authenticator. */
type Passkey = { id: string; rpId: string; userHandle: string; key: KeyObject; counter: number }

/** How an answer differs from that of an honest authenticator and browser. */
export type Deviation = { origin?: string; rpId?: string; type?: string; verifiesUser?: boolean; userHandle?: string }

/** Flags of https://www.w3.org/TR/webauthn-3/#authdata-flags */
const PRESENT = 0x01
const VERIFIED = 0x04
const ATTESTED = 0x40

/**
 * Creates an authenticator with a browser at `origin`: it answers as `JSON.stringify(credential)` would. `counts`:
 * whether its signature counter grows with each use. https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data
 */
export function createAuthenticator({ origin, counts = false }: { origin: string; counts?: boolean }) {
  const passkeys: Passkey[] = []

  /** Answers `navigator.credentials.create`. */
  function create(options: CredentialOptions, deviation: Deviation = {}): string {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const id = randomBytes(32)
    const rpId = deviation.rpId ?? options.rp!.id
    passkeys.push({ id: id.toString('base64url'), rpId, userHandle: options.user!.id, key: privateKey, counter: 0 })
    const { x, y } = publicKey.export({ format: 'jwk' })
    // A COSE key of the type EC2 for ES256: https://www.rfc-editor.org/rfc/rfc9053#section-7.1.1
    const cose = Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'),
      Buffer.from(x!, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y!, 'base64url'),
    ])
    const flags = PRESENT | ATTESTED | verifiedFlag(deviation)
    const attested = Buffer.concat([Buffer.alloc(16), uint16(id.length), id, cose])
    const authData = Buffer.concat([authenticatorData(rpId, flags, 0), attested])
    // The CBOR of {fmt: 'none', attStmt: {}, authData}.
    const attestationObject = Buffer.concat([
      Buffer.from('a363666d74646e6f6e656761747453746d74a0686175746844617461', 'hex'),
      Buffer.from([0x59]),
      uint16(authData.length),
      authData,
    ])
    return answer(id.toString('base64url'), {
      clientDataJSON: clientData('webauthn.create', options.challenge, deviation),
      attestationObject: attestationObject.toString('base64url'),
      transports: ['internal'],
    })
  }

  /** Answers `navigator.credentials.get` with the newest passkey that the options permit. */
  function get(options: CredentialOptions, deviation: Deviation = {}): string {
    const allowed = options.allowCredentials ?? []
    const passkey = passkeys.findLast(({ id }) => allowed.length === 0 || allowed.some((each) => each.id === id))
    if (!passkey) throw new Error('the authenticator has no such passkey')
    if (counts) passkey.counter++
    const clientDataJSON = clientData('webauthn.get', options.challenge, deviation)
    const rpId = deviation.rpId ?? options.rpId!
    const authData = authenticatorData(rpId, PRESENT | verifiedFlag(deviation), passkey.counter)
    const signed = Buffer.concat([authData, sha256(Buffer.from(clientDataJSON, 'base64url'))])
    return answer(passkey.id, {
      clientDataJSON,
      authenticatorData: authData.toString('base64url'),
      signature: createSign('sha256').update(signed).sign(passkey.key).toString('base64url'),
      userHandle: deviation.userHandle ?? passkey.userHandle,
    })
  }

  function clientData(type: string, challenge: string, deviation: Deviation): string {
    const text = JSON.stringify({ type: deviation.type ?? type, challenge, origin: deviation.origin ?? origin })
    return Buffer.from(text).toString('base64url')
  }

  return { create, get }
}

function answer(id: string, response: Record<string, unknown>): string {
  return JSON.stringify({ id, rawId: id, type: 'public-key', clientExtensionResults: {}, response })
}

function verifiedFlag({ verifiesUser = true }: Deviation): number {
  return verifiesUser ? VERIFIED : 0
}

function authenticatorData(rpId: string, flags: number, counter: number): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  return Buffer.concat([sha256(Buffer.from(rpId)), Buffer.from([flags]), count])
}

function uint16(number: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(number)
  return bytes
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
