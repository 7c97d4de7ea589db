import { z } from 'zod'

const BYTES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }
const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const NOT_A_SIZE = "expected a size such as '50M', '512K' or a number of bytes"
const NOT_A_DURATION = "expected a duration such as '30s', '10m', '24h' or '7d'"

/** A size as a number of bytes or as text such as '512K', '50M' or '1G' (powers of 1024); parses to bytes. */
export const byteSize = z
  .union([z.int().nonnegative(), z.string()], { error: NOT_A_SIZE })
  .transform((value, context) => {
    const bytes = parseUnits(String(value).toUpperCase(), /^(\d+)([KMGT]?)I?B?$/, BYTES)
    if (bytes !== undefined) return bytes
    context.addIssue(NOT_A_SIZE)
    return z.NEVER
  })

/** A duration as text such as '30s', '10m', '24h' or '7d'; parses to milliseconds. */
export const duration = z.string({ error: NOT_A_DURATION }).transform((value, context) => {
  const milliseconds = parseUnits(value, /^(\d+)(ms|[smhdw])$/, MILLISECONDS)
  if (milliseconds !== undefined) return milliseconds
  context.addIssue(NOT_A_DURATION)
  return z.NEVER
})

function parseUnits(text: string, pattern: RegExp, factors: Readonly<Record<string, number>>): number | undefined {
  const [, amount, unit] = pattern.exec(text) ?? []
  const factor = factors[unit ?? '']
  const product = Number(amount) * (factor ?? Number.NaN)
  return Number.isSafeInteger(product) ? product : undefined
}
