import { z } from 'zod'

/** A client's secret of the verification of an address. */
export const clientSecret = z.string().regex(/^[0-9a-zA-Z.=_-]{1,255}$/, 'has characters that are not allowed')
