import { z } from 'zod'

/** https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api; what else it holds depends on the stage. */
export const authData = z.looseObject({ type: z.string().optional(), session: z.string().max(255).optional() })
