import { z } from 'zod'
import { queryBoolean, queryInteger, serverName } from '../http/fields.ts'

const DEFAULT_WAIT_MS = 20_000
const LONGEST_WAIT_MS = 60_000

/** The path of an `mxc://` URI; the characters allowed are what keeps it from reaching other files: https://spec.matrix.org/v1.19/client-server-api/#content-repo-security-considerations */
export const mediaPath = z.object({
  serverName,
  mediaId: z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, 'is not a media id'),
})

/** How long to wait for a file that is still to be uploaded, in milliseconds. */
export const waitQuery = z.object({
  timeout_ms: queryInteger.default(DEFAULT_WAIT_MS).transform((timeout) => Math.min(timeout, LONGEST_WAIT_MS)),
})

/** As `waitQuery`, and whether to ask other servers for their files; only the endpoints of before Matrix 1.11 have it. */
export const remoteQuery = waitQuery.extend({ allow_remote: queryBoolean.default(true) })
