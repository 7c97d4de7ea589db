import { z } from 'zod'
import { isMediaId } from '../../core/content-uri.ts'
import { queryBoolean, queryInteger, serverName } from '../http/fields.ts'

const DEFAULT_WAIT_MS = 20_000
const LONGEST_WAIT_MS = 60_000

/** The path of an `mxc://` URI. */
export const mediaPath = z.object({
  serverName,
  mediaId: z.string().refine(isMediaId, 'is not a media id'),
})

/** How long to wait for a pending upload, in milliseconds. */
export const waitQuery = z.object({
  timeout_ms: queryInteger.default(DEFAULT_WAIT_MS).transform((timeout) => Math.min(timeout, LONGEST_WAIT_MS)),
})

/** As `waitQuery`, with `allow_redirect`: whether the client follows redirects to the file. */
export const redirectQuery = waitQuery.extend({ allow_redirect: queryBoolean.default(false) })

/** As `redirectQuery`, with `allow_remote`, which only the deprecated endpoints have. */
export const remoteQuery = redirectQuery.extend({ allow_remote: queryBoolean.default(true) })
