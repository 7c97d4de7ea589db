import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** RFC 7518 wants a secret as long as the hash. */
const MIN_SECRET_LENGTH = 32

const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const
/** The type of the key of each algorithm, and the curve of elliptic ones. */
const KEY_TYPES = {
  RS256: 'rsa',
  RS384: 'rsa',
  RS512: 'rsa',
  PS256: 'rsa',
  PS384: 'rsa',
  PS512: 'rsa',
  ES256: 'ec prime256v1',
  ES384: 'ec secp384r1',
  ES512: 'ec secp521r1',
  EdDSA: 'ed25519',
} as const

const isOfSecret = (algorithm: string) => (SECRET_ALGORITHMS as readonly string[]).includes(algorithm)

/** The section `jwt`. */
export const jwt = z
  .strictObject({
    algorithm: z
      .enum([...SECRET_ALGORITHMS, ...(Object.keys(KEY_TYPES) as (keyof typeof KEY_TYPES)[])])
      .optional()
      .meta({
        description: `The algorithm of the signatures; tokens with another one are refused. ${SECRET_ALGORITHMS.join(', ')} need secret; ${Object.keys(KEY_TYPES).join(', ')} need public_key. Absent: nobody signs in with a JWT.`,
        example: 'ES256',
      }),
    secret: z.string().min(MIN_SECRET_LENGTH, `expected at least ${MIN_SECRET_LENGTH} characters`).optional().meta({
      description: 'The secret of HS256, HS384 and HS512. A holder of it can sign in as every user.',
      example: 'a random text of at least 32 characters',
    }),
    public_key: z.string().min(1).optional().meta({
      description: 'A PEM file with the public key of the other algorithms.',
      example: '/etc/hearth/jwt.pem',
    }),
    subject_claim: z
      .string()
      .min(1)
      .prefault('sub')
      .describe('The claim with the name of the user: the part of the user id before the colon.'),
    display_name_claim: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The claim with the display name of a new account.', example: 'name' }),
    issuer: z.string().min(1).optional().meta({
      description: 'The required value of the claim iss. Absent: any issuer with the key.',
      example: 'https://portal.example.org',
    }),
    audiences: z
      .array(z.string().min(1))
      .prefault([])
      .describe('The claim aud must be, or contain, one of these. Empty: a token with that claim is refused.'),
    new_accounts: z
      .boolean()
      .prefault(true)
      .describe('Whether a user without an account gets one at the first sign-in.'),
  })
  .refine(({ algorithm, secret }) => algorithm === undefined || !isOfSecret(algorithm) || secret !== undefined, {
    message: 'is missing for this algorithm',
    path: ['secret'],
  })
  .refine(({ algorithm, public_key }) => algorithm === undefined || isOfSecret(algorithm) || public_key !== undefined, {
    message: 'is missing for this algorithm',
    path: ['public_key'],
  })
  .prefault({})
  .describe('Sign-in with a JSON Web Token (org.matrix.login.jwt) that another program, such as a portal, has signed.')

/** Returns the key that verifies signatures. Throws for a file that is unreadable or has no key for the algorithm. */
export function readJwtKey({ algorithm, secret, public_key }: z.output<typeof jwt>): KeyObject | Uint8Array {
  if (algorithm === undefined) throw new Error('No algorithm is configured')
  if (isOfSecret(algorithm)) return new TextEncoder().encode(secret)
  const key = createPublicKey(readFileSync(public_key!))
  const curve = key.asymmetricKeyDetails?.namedCurve
  const type = [key.asymmetricKeyType, ...(curve === undefined ? [] : [curve])].join(' ')
  if (type === KEY_TYPES[algorithm as keyof typeof KEY_TYPES]) return key
  throw new Error(`the key is of the type ${type}, which ${algorithm} does not use`)
}
