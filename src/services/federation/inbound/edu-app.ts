import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'

/**
 * What EDUs need; their contents come as they are. Each throws a ZodError or MatrixError for what is not to be
 * followed.
 */
export type EduApp = Pick<
  App,
  'config' | 'database' | 'serverName' | 'stream' | 'clock' | 'random' | 'logger' | 'stopping' | 'federation'
>
export type ReceiveEdu = (app: EduApp, origin: ServerName, content: unknown) => Promise<void>
