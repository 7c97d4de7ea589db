import { duration } from '../config/units.ts'
import { UsageError } from './command.ts'

export const EXPIRES_OPTION = {
  expires: { type: 'string', value: 'TIME', about: 'how long it is valid, such as 90d; absent: without an end' },
} as const

/** Parses the value of `--expires`, in milliseconds. Throws UsageError. */
export function parseExpires(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const parsed = duration.safeParse(text)
  if (parsed.success && parsed.data > 0) return parsed.data
  throw new UsageError(`--expires: expected a time such as 12h, 90d or 52w, not ${text}`)
}
