import { z } from 'zod'

/** `dir` in a query string. */
export const direction = z.enum(['b', 'f']).transform((dir) => (dir === 'f' ? 'forwards' : 'backwards'))
